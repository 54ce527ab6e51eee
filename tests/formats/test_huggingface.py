"""What the Hugging Face Trainer prints, and the steps that it does not print."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import items_of, points

from llmtop.formats.base import About, Points
from llmtop.formats.huggingface import FORMATS, Reader
from llmtop.samples import NO_STEP

(HUGGINGFACE,) = FORMATS


class Terminal:
    """A trainer's two streams in one file: tqdm's bar at once, stdout in blocks."""

    def __init__(self, total: int, block: int, shown: int = 1) -> None:
        self.total, self.block, self.shown = total, block, shown
        self.text = self._bar(0)
        self._stdout = ""

    def _bar(self, count: int) -> str:
        share = count * 100 // self.total
        return f"\r {share:3d}%|###     | {count}/{self.total} [00:09<1:02:03,  2.50s/it]"

    def step(self, count: int) -> None:
        """Count on; tqdm shows only some of the steps when they are fast."""
        if count % self.shown == 0:
            self.text += self._bar(count)

    def log(self, count: int, line: str) -> None:
        """Print a line through tqdm, which clears its bar and draws it again."""
        self.text += "\r" + " " * 74 + "\r"
        self._stdout += line + "\n"
        if len(self._stdout) > self.block:
            whole = len(self._stdout) if self.block == 0 else self.block
            self.text += self._stdout[:whole]
            self._stdout = self._stdout[whole:]
        self.text += self._bar(count)

    def close(self) -> str:
        return self.text + self._stdout


def train(
    total: int, spacing: int, per_epoch: int, evals: int, block: int, shown: int, first: bool
) -> tuple[str, list[int], list[int]]:
    """Return the output of a training, its training steps and its evaluation steps."""
    terminal, logged, evaluated = Terminal(total, block, shown), list[int](), list[int]()
    for count in range(1, total + 1):
        terminal.step(count)
        epoch = round(count / per_epoch, 2)
        if count % spacing == 0 or (first and count == 1):
            logged.append(count)
            terminal.log(count, f"{{'loss': {count}.5, 'learning_rate': 1e-05, 'epoch': {epoch}}}")
        if evals and count % evals == 0:
            evaluated.append(count)
            terminal.log(count, f"{{'eval_loss': {count}.5, 'eval_runtime': 2, 'epoch': {epoch}}}")
    return terminal.close(), logged, evaluated


@pytest.mark.parametrize("block", [0, 200, 900, 100_000])
@pytest.mark.parametrize("shown", [1, 3])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("evals", [0, 20, 25])
def test_each_line_has_its_own_step_however_stdout_is_buffered(
    block: int, shown: int, first: bool, evals: int
) -> None:
    text, logged, evaluated = train(100, 10, 40, evals, block, shown, first)
    found = points(items_of(HUGGINGFACE, text))
    assert found["loss"] == [(step, step + 0.5) for step in logged]
    assert found.get("eval_loss", []) == [(step, step + 0.5) for step in evaluated]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(20, 200), st.integers(1, 50), st.integers(5, 300), st.sampled_from([0, 7, 30]),
    st.sampled_from([0, 155, 8192]), st.integers(1, 9), st.booleans(),
)
def test_a_step_is_right_or_missing(
    total: int, spacing: int, per_epoch: int, evals: int, block: int, shown: int, first: bool
) -> None:
    text, logged, _ = train(total, spacing, per_epoch, evals, block, shown, first)
    found = points(items_of(HUGGINGFACE, text)).get("loss", [])
    assert [value for _, value in found] == [step + 0.5 for step in logged]
    assert all(step in (NO_STEP, value - 0.5) for step, value in found)


def test_the_bar_tells_how_many_steps_there_are() -> None:
    items = items_of(HUGGINGFACE, train(100, 10, 40, 0, 0, 1, False)[0])
    assert [item for item in items if isinstance(item, About)] == [About(total_steps=100)]


def test_other_bars_are_not_the_training() -> None:
    before = "".join(f"\rMap: {n}%|#  | {n}/7 [00:01<00:01, 9.0 examples/s]" for n in (0, 3, 7))
    loop = "".join(f"\r {n}%|#  | {n}/9 [00:01<00:01,  9.00it/s]" for n in (0, 3, 9, 9))
    text, logged, _ = train(100, 10, 40, 0, 900, 1, False)
    found = points(items_of(HUGGINGFACE, before + "\n" + loop + "\n" + text))
    assert found["loss"] == [(step, step + 0.5) for step in logged]


def test_without_a_bar_there_is_no_step_but_the_epoch() -> None:
    text = "".join(f"{{'loss': {n}.5, 'epoch': 0.{n}}}\n" for n in range(1, 4))
    found = points(items_of(HUGGINGFACE, text))
    assert found["loss"] == [(NO_STEP, 1.5), (NO_STEP, 2.5), (NO_STEP, 3.5)]
    assert found["epoch"] == [(NO_STEP, 0.1), (NO_STEP, 0.2), (NO_STEP, 0.3)]


def test_a_restart_in_the_same_file_counts_from_its_own_bar() -> None:
    one, logged, _ = train(100, 10, 40, 0, 0, 1, False)
    other, again, _ = train(100, 20, 40, 0, 0, 1, False)
    found = points(items_of(HUGGINGFACE, one + "\n" + other))
    assert found["loss"] == [(step, step + 0.5) for step in (*logged, *again)]


def test_the_summary_is_of_the_last_step() -> None:
    text = train(30, 10, 10, 0, 0, 1, False)[0] + "\n"
    text += "{'train_runtime': 12.5, 'train_loss': 2.25, 'epoch': 3.0}\n"
    assert points(items_of(HUGGINGFACE, text))["train_loss"] == [(30, 2.25)]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("{'loss': 1.4884, 'grad_norm': nan, 'epoch': 0.01}",
         {"loss": 1.4884, "grad_norm": math.nan, "epoch": 0.01}),
        ("{'loss': '-2.98e-08', 'num_tokens': '1.425e+04', 'epoch': '0.01802'}",
         {"loss": -2.98e-08, "num_tokens": 14250.0, "epoch": 0.01802}),
        ("{'eps': 1, 'objective/kl': 10.5, 'episode': 816, 'epoch': 0.91}",
         {"eps": 1.0, "objective/kl": 10.5, "episode": 816.0, "epoch": 0.91}),
        ("INFO     | 2024-04-30 11:16:10 | app.train:on_log:226 - {'loss': inf, 'epoch': 0.5}",
         {"loss": math.inf, "epoch": 0.5}),
        ("{'loss': np.float64(0.5), 'reward': tensor(1.5, device='cuda:0'), 'epoch': 1.0}",
         {"loss": 0.5, "reward": 1.5, "epoch": 1.0}),
        ("{'accuracy': 0.5, 'f1': 0.25}", {"accuracy": 0.5, "f1": 0.25}),
    ],
)
def test_a_dict_of_any_version_is_read(line: str, values: dict[str, float]) -> None:
    (found,) = items_of(HUGGINGFACE, line)
    assert isinstance(found, Points)
    assert repr(dict(found.values)) == repr(values)
    assert (found.time is not None) == ("2024" in line)


@pytest.mark.parametrize(
    "line",
    ["{'text': 'a', 'sentiment': 'b'}", "{'block_size': 1048576, 'queue_depth': 8, 'on': False}",
     "{'epoch': 3, 'name': 'x', 'path': 'y'}", "WORLD INFO DICT: {'localhost': [0, 1]}",
     "{'learning_rate': 0.1, 'momentum': 0.9}", "{}", "{'loss': None}"],
)
def test_dicts_that_people_print_are_left_alone(line: str) -> None:
    assert items_of(HUGGINGFACE, line) == []


@given(st.text(alphabet="{}':, loseph0123.n%|/[]its\\", max_size=200))
def test_any_line_is_survived(text: str) -> None:
    reader = Reader()
    for line in text.split("s"):
        reader.read(line)
    reader.end()
