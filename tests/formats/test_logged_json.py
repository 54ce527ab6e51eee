"""Formats with JSON or fields after a prefix of Python's or absl's logging."""

from __future__ import annotations

from datetime import datetime

from reading import items_of, points

from llmtop.formats import fairseq, levanter, maxtext, verl
from llmtop.formats.base import About, End, Note, Points

(FAIRSEQ,), (LEVANTER,) = fairseq.FORMATS, levanter.FORMATS
(MAXTEXT,), (VERL,) = maxtext.FORMATS, verl.FORMATS


def test_fairseq_json_has_strings_for_values() -> None:
    text = (
        '[2023-01-15 12:04:40,512][train_inner][INFO] - {"epoch": 2, "loss": "6.5", "ppl": "73.7",'
        ' "num_updates": "1200", "lr": "0.00015", "gnorm": "nan"}\n'
        '2023-01-15 12:05:00 | INFO | valid | {"epoch": 2, "valid_loss": "6.25",'
        ' "valid_num_updates": "1210"}\n'
    )
    items = items_of(FAIRSEQ, text)
    assert isinstance(items[0], Points)
    assert items[0].time == datetime(2023, 1, 15, 12, 4, 40, 512_000).timestamp()
    found = points(items)
    assert found["loss"] == [(1200, 6.5)]
    assert str(found["gnorm"]) == "[(1200, nan)]"
    assert found["valid_loss"] == [(1210, 6.25)]


def test_fairseq_simple_lines() -> None:
    text = (
        "| epoch 010:   2000 / 8223 loss=1.27 (1.50), wps=962, ups=0.5, num_updates=76000\n"
        "2020-07-01 10:00:00 | INFO | train_inner | epoch 001:    100 / 1024 loss=10.25,"
        " ppl=1218.1, wps=3062.4, num_updates=100, lr=1.25e-07\n"
        "2020-07-01 10:10:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 4.5 |"
        " ppl 22.6 | num_updates 1024\n"
        "| epoch 001 | loss 9.5 | num_updates 1024\n"
    )
    found = points(items_of(FAIRSEQ, text))
    assert found["loss"] == [(76000, 1.27), (100, 10.25)]
    assert found["valid_loss"] == [(1024, 4.5)]
    assert found["train_loss"] == [(1024, 9.5)]


def test_fairseq_checkpoints_and_end() -> None:
    text = (
        "2020-07-01 10:10:00 | INFO | fairseq.checkpoint_utils | Saved checkpoint"
        " ckpt/checkpoint1.pt (epoch 1 @ 1024 updates, score 4.5) (writing took 2.3 seconds)\n"
        "2020-07-01 10:11:00 | INFO | fairseq_cli.train | done training in 660.5 seconds\n"
    )
    note, end = items_of(FAIRSEQ, text)
    assert isinstance(note, Note)
    assert (note.level, note.step) == ("checkpoint", 1024)
    assert isinstance(end, End)


def test_levanter_events() -> None:
    head = "2025-02-11T09:30:12 - 0 - levanter.tracker - json_logger.py:40 - INFO :: "
    text = (
        head + '{"tracker": "json_logger", "event": "log", "step": 12, "metrics":'
        ' {"train": {"loss": 6.5}, "hist": {"counts": [1, 2]}, "bad": NaN}}\n'
        + head + '{"tracker": "json_logger", "event": "hparams", "metrics": {"lr": 1}}\n'
        + head + '{"tracker": "json_logger", "event": "finish"}\n'
    )  # fmt: skip
    items = items_of(LEVANTER, text)
    assert str(points(items)) == "{'train/loss': [(12, 6.5)], 'bad': [(12, nan)]}"
    assert isinstance(items[-1], End)


def test_maxtext_steps_and_evaluations() -> None:
    text = (
        "I0309 10:02:51.204113 140212 metric_logger.py:181] completed step: 120, seconds: 1.25,"
        " TFLOP/s/device: 201.5, Tokens/s/device: 6804.5, total_weights: 65536, loss: 6.5,"
        " perplexity: 665.1\n"
        "I0309 10:03:00.000000 140212 metric_logger.py:190] eval metrics after step: 120,"
        " loss=6.25, total_weights=4096, avg_mtp_acceptance_rate=3.5%\n"
    )
    items = items_of(MAXTEXT, text)
    assert points(items) == {
        "seconds": [(120, 1.25)], "tflops": [(120, 201.5)], "tps": [(120, 6804.5)],
        "total_weights": [(120, 65536.0)], "loss": [(120, 6.5)], "ppl": [(120, 665.1)],
        "eval/loss": [(120, 6.25)], "eval/total_weights": [(120, 4096.0)],
        "eval/avg_mtp_acceptance_rate": [(120, 3.5)],
    }  # fmt: skip
    first, second = (item.time for item in items if isinstance(item, Points))
    assert first is not None
    assert second is not None
    assert abs(second - first - 8.795887) < 1e-3


def test_verl_names_hold_colons_and_values_are_reprs() -> None:
    text = (
        "(TaskRunner pid=31207) Total training steps: 105\n"
        "(TaskRunner pid=31207) step:12 - actor/pg_loss:np.float64(-0.25) - train/lr(1e-3):0.5"
        " - critic/score/mean:nan - a:b:3 - note:none\n"
        "(TaskRunner pid=31207) local_global_step_folder: /ckpt/global_step_12\n"
        "(TaskRunner pid=31207) local_global_step_folder: /ckpt/global_step_12\n"
    )
    items = items_of(VERL, text)
    assert items[0] == About(total_steps=105)
    assert items[2] == Note("saved /ckpt/global_step_12", "checkpoint", 12)
    assert len(items) == 3
    assert str(points(items)) == (
        "{'actor/pg_loss': [(12, -0.25)], 'train/lr(1e-3)': [(12, 0.5)],"
        " 'critic/score/mean': [(12, nan)], 'a:b': [(12, 3.0)]}"
    )
