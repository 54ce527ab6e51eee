"""Real logs of many tools give exactly the points that were counted in them by hand.

The files are not part of the project; where they are not beside it, there is nothing to check.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from llmtop.formats.base import LineFormat
from llmtop.formats.table import Table, builtin
from llmtop.samples import NO_STEP
from llmtop.sources import textlog, wholefile
from llmtop.sources.collect import Collector
from llmtop.sources.logs import Log
from llmtop.sources.textlog import TextLog
from logfiles import Following, Gathered, Series, read_files

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT.parent / "shared" / "samples" / "logs"
EXPECTED: dict[str, dict[str, Any]] = (
    json.loads((SAMPLES / "expected.json").read_text()) if SAMPLES.is_dir() else {}
)
MORE = {
    "deepspeed_stdout/dschat-step1-sft.opt-1.3b.head1400.log": {"max_mem_gb"},
    "deepspeed_stdout/dschat-step2-rm.opt-350m.log": {
        "max_mem_gb", "chosen_last_scores", "acc", "epoch_loss"},
    "excerpts/maxtext_stdout.txt": {"total_weights"},
    "hf_stdout/sft.cn-mini-phi3.log": {"skipped", "lr"},
    "olmo/train.150M-tied-emb.log": {"System/Peak GPU Memory (MB)"},
    "olmo/train.1B-grad-provenance-1000.log": {"System/Peak GPU Memory (MB)"},
    "vllm_stdout/vllm.dgx-spark.log": {"spec_drafted_tps", "spec_draft_accept_pct"},
}  # fmt: skip
"""Numbers that are in the files and were not counted."""
LINES = {known.name for known in builtin() if isinstance(known, LineFormat)}
CHUNKED_SEEDS = (1, 2)
CUTS = 2
"""Places at which each file is cut."""

pytestmark = pytest.mark.skipif(not EXPECTED, reason="the sample logs are not beside the project")


def check(name: str, found: Series) -> None:
    expected = EXPECTED[name]
    assert set(found) - MORE.get(name, set()) == set(expected)
    for metric, wanted in expected.items():
        points = found[metric]
        assert len(points) == wanted["n"], metric
        for place, (step, value) in ((0, wanted["first"]), (-1, wanted["last"])):
            # Lines of the Trainer have no step: theirs is in the file's epoch column.
            if step is not None and "hf_stdout" not in name:
                assert points[place][0] == step, metric
            assert math.isclose(points[place][1], float(value), rel_tol=1e-12) or (
                math.isnan(points[place][1]) and math.isnan(float(value))), metric


@pytest.mark.parametrize("name", EXPECTED)
def test_whole_file(name: str) -> None:
    check(name, read_files([SAMPLES / name]).series)


@pytest.mark.parametrize("name", [name for name in EXPECTED if "hf_stdout" in name])
def test_lines_without_steps_have_the_epochs_that_were_counted(name: str) -> None:
    epochs = read_files([SAMPLES / name]).series["epoch"]
    wanted = EXPECTED[name]["epoch"]
    assert (epochs[0][1], epochs[-1][1]) == (wanted["first"][1], wanted["last"][1])


@pytest.mark.parametrize("seed", CHUNKED_SEEDS)
@pytest.mark.parametrize("name", EXPECTED)
def test_in_chunks(name: str, seed: int) -> None:
    if read_files([SAMPLES / name]).runs and not text_runs(name):
        pytest.skip("not lines: its reader is given whole files")
    rng = random.Random(f"{seed} {name}")
    data, gathered, collector = (SAMPLES / name).read_bytes(), Gathered(), Collector()
    log = TextLog(Log(name, name, "file"), Table(), collector)
    at = 0
    while at < len(data):
        size = rng.choice((1, 7, 100, 5000, 60_000))
        log.feed(data[at : at + size], 0.0)
        at += size
    log.end(0.0)
    batch = collector.batch(0.0)
    if batch is not None:
        gathered.add(batch)
    check(name, gathered.series)


@pytest.mark.parametrize("name", EXPECTED)
def test_cut_anywhere_then_completed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textlog, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(wholefile, "AGAIN_SECONDS", 0.1)
    data = (SAMPLES / name).read_bytes()
    rng = random.Random(name)
    for number in range(CUTS):
        path = tmp_path / str(number) / Path(name).name
        path.parent.mkdir()
        cut = rng.randrange(1, len(data))
        path.write_bytes(data[:cut])
        with Following([path]) as following:
            following.caught_up()
            with path.open("ab") as file:
                file.write(data[cut:])
            size = {metric: wanted["n"] for metric, wanted in EXPECTED[name].items()}
            if size:
                following.until(lambda got, size=size: all(
                    len(got.series.get(metric, ())) >= n for metric, n in size.items()))
        check(name, following.gathered.series)
        shutil.rmtree(path.parent)


def text_runs(name: str) -> bool:
    runs = read_files([SAMPLES / name]).runs.values()
    return all(str(run.tags.get("format", "")) in LINES for run in runs)


def test_no_step_is_said_where_there_is_none() -> None:
    found = read_files([SAMPLES / "vllm_stdout/vllm.dgx-spark.log"]).series
    assert {step for step, _ in found["gen_tps"]} == {NO_STEP}
