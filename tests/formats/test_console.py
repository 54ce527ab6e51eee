"""Every format of a console: nothing foreign is read, nothing makes it raise."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import items_of

from llmtop.formats.base import LineFormat, Points
from llmtop.formats.console import Console, bars, split_rank
from llmtop.formats.pipes import fields

MODULES = (
    "megatron", "nemo", "deepspeed", "torchtitan", "torchtune", "litgpt", "nanogpt",
    "buildnanogpt", "llmc", "modded", "nanochat", "olmo", "composer", "levanter", "maxtext",
    "fairseq", "mlx", "verl", "openrlhf", "vllm", "sglang", "llamacpp",
)  # fmt: skip
FORMATS: list[LineFormat] = [
    known for name in MODULES for known in import_module(f"llmtop.formats.{name}").FORMATS
]
FOREIGN = """\
import torch
print0(f"step:{step}/{train_steps} val_loss:{val_loss:.4f} train_time:{t:.0f}ms")
    print(f"step {iter_num}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")
    print(f"iter {iter_num}: loss {lossf:.4f}, time {dt*1000:.2f}ms, mfu {mfu*100:.2f}%")
    loss = criterion(logits, targets)
        step=10,
    self.scale/2=3
Loading checkpoint shards:  25%|##5       | 1/4 [00:02<00:08,  2.70s/it]
 21%|##        | 78/378 [1:57:03<7:01:11, 84.24s/it]
{'loss': 1.4884, 'grad_norm': 0.16, 'learning_rate': 0.0, 'epoch': 0.01}
{"step": 3, "loss": 2.25}
step=3 loss=2.25 lr=1e-4
Epoch 3/10 loss: 0.25 acc: 0.9
warmup_step:1/20
| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4 |
|   0  NVIDIA H100   On  | 00000000:1B:00.0 Off |    0 |
Traceback (most recent call last):
  File "/srv/run/train.py", line 299, in <module>
torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 48.00 MiB.
INFO 06-14 09:20:31 [core.py:58] Initializing a V1 LLM engine (v0.9.1) with config: model='x'
[2025-07-21 16:40:12] INFO:     127.0.0.1:55000 - "POST /v1/chat/completions HTTP/1.1" 200 OK
llama_context: n_ctx         = 65536
The step: it was taken at 3 o'clock, and the loss: none.
Iter 10: done
Step 3 of 10
Saving model checkpoint to out
Training time: soon
ppl: high
num_updates
  -- iteration  3/ 10 --
250 items val 3
Validation: iteration 1/8
"""


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda known: known.name)
def test_the_example_is_read_and_no_other_format_claims_it(chosen: LineFormat) -> None:
    assert any(isinstance(item, Points) for item in items_of(chosen, chosen.example))
    for other in FORMATS:
        if other is not chosen:
            assert not items_of(other, chosen.example), other.name


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda known: known.name)
def test_nothing_foreign_is_read_even_in_the_middle_of_a_log(chosen: LineFormat) -> None:
    reader = chosen.reader()
    for line in chosen.example.splitlines():
        reader.read(line)
    for line in FOREIGN.splitlines():
        assert not reader.read(line), line


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda known: known.name)
def test_units_are_of_names_that_a_reader_can_give(chosen: LineFormat) -> None:
    assert len({known.name for known in FORMATS}) == len(FORMATS)
    assert all(chosen.marks)
    assert chosen.phase in ("train", "serve")


@given(st.text(max_size=200))
def test_any_text_is_read_without_raising(text: str) -> None:
    for chosen in FORMATS:
        reader = chosen.reader()
        reader.read(text)
        for line in text.splitlines():
            reader.read(line)
        reader.end()


@settings(max_examples=150)
@given(
    st.sampled_from(FORMATS), st.integers(0, 400), st.integers(0, 40),
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(
            ["nan", "-inf", "1" * 400, "1,2,3", "٣", "1e999", "np.float64(", "{" * 2000]
        ),
    ),
)  # fmt: skip
def test_a_damaged_line_is_read_without_raising(
    chosen: LineFormat, start: int, length: int, patch: str
) -> None:
    reader = chosen.reader()
    lines = chosen.example.splitlines()
    for line in lines:
        at = start % (len(line) + 1)
        for item in reader.read(line[:at] + patch + line[at + length :]) or ():
            if isinstance(item, Points):
                assert item.values
                assert all(type(value) is float for value in item.values.values())
                assert item.step >= -1


@given(st.sampled_from(FORMATS), st.text(alphabet="0123456789.,:|=% \tabe", max_size=120))
def test_numbers_in_place_of_words_do_not_raise(chosen: LineFormat, tail: str) -> None:
    reader = chosen.reader()
    for mark in chosen.marks:
        reader.read(mark + tail)
        reader.read(tail + mark)


def test_a_rank_in_front_of_a_line_is_taken_off() -> None:
    assert split_rank("[rank3]: step 1") == (3, "step 1")
    assert split_rank("[default12]:step 1") == (12, "step 1")
    assert split_rank(" 7: step 1") == (7, "step 1")
    assert split_rank("10:20:30 step 1") == (None, "10:20:30 step 1")
    assert split_rank("[2025-01-01] step 1") == (None, "[2025-01-01] step 1")


def test_bars_hold_names_with_spaces_and_skip_what_is_no_number() -> None:
    text = " lm loss: 1.5E+00 | a (b: c): 2 | flops: 26.1TFLOPS | x: N/A | y |"
    assert bars(text) == {"lm loss": 1.5, "a (b: c)": 2.0, "flops": 26.1}


def test_fields_have_their_names_before_or_after() -> None:
    text = " loss 6.2 (+0.31z)| 52.1% bf16 MFU | 1,200 tok/s | epoch: 1 pq: 0 | dt: nanms | eta: ?"
    values = fields(text)
    assert str(values.pop("dt")) == "nan"
    assert values == {"loss": 6.2, "bf16 MFU": 52.1, "tok/s": 1200.0, "epoch": 1.0}


def test_the_total_is_said_once_and_again_when_it_changes() -> None:
    console = Console()
    assert [item.total_steps for item in console.about("100")] == [100]  # type: ignore[union-attr]
    assert console.about("100") == ()
    assert console.about("0") == ()
    assert console.about("9" * 30) == ()
    assert [item.total_steps for item in console.about("200")] == [200]  # type: ignore[union-attr]


def test_no_pattern_takes_long_on_long_lines() -> None:
    filler = re.sub(r"\s+", " ", FOREIGN)
    for chosen in FORMATS:
        reader = chosen.reader()
        for mark in chosen.marks:
            reader.read(mark + "1" * 50_000)
            reader.read(mark + "a b: 1, " * 6_000)
            reader.read((mark + filler) * 20)
            reader.read(mark * 3_000)
