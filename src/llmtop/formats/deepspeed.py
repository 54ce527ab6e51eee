"""DeepSpeed and its chat example: rates and learning rates by DeepSpeed, scores by the example.

DeepSpeed prints no loss of its own. Skipped steps are notes: all ranks say them, rank 0 is heard.
The example's records take two lines, the reward being of the step before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmtop.formats.base import End, Item, LineFormat, Note, Points
from llmtop.formats.console import Console, plain
from llmtop.formats.numbers import NUMBER, number, timestamp
from llmtop.samples import NO_STEP

_STEP = re.compile(r"\[Rank 0\] step=(\d{1,12}), skipped=(\d{1,12}), lr=\[([^\],]{1,60})")
_SPEED = re.compile(
    rf"(?:/global_step=|\b\d{{1,9}}/)(\d{{1,12}}), (?:RunningAvg)?SamplesPerSec=({NUMBER})"
    rf"(?:, CurrSamplesPerSec=({NUMBER}))?"
    rf"(?:, MemAllocated=({NUMBER})GB, MaxMemAllocated=({NUMBER})GB)?"
)
_OVERFLOW = re.compile(r"OVERFLOW! Rank 0 Skipping step.*|\[Rank 0\] Overflow detected\. .*")
_SAVED = re.compile(r"\[Torch\] Checkpoint (?:global_step(\d{1,12})|\S{1,200}) is ready now!")
_EXIT = re.compile(r"\[launch\.py:\d{1,6}:\w{1,40}\] .*(exits successfully|return code = -?\d+)")
_SCORES = re.compile(rf"(\w{{1,60}}) \((?:higher|lower) is better\) : ({NUMBER})(?=,|$|\s)")
_PPO = re.compile(r"epoch: (\d{1,9}) ?\| ?step: (\d{1,12}) ?\|(.{1,500})", re.IGNORECASE)
_REWARD = re.compile(
    rf"\s*(average reward score): ({NUMBER})(?: \| (EMA reward score): ({NUMBER}))?\s*",
    re.IGNORECASE,
)
_PPL = re.compile(rf"ppl: ({NUMBER})(?:, loss: ({NUMBER}))?\s*")
_EPOCH = re.compile(rf"Epoch \d{{1,9}}/\d{{1,9}} with loss ({NUMBER})\s*")
_RANKED = re.compile(
    rf"Epoch: \d{{1,9}}, Step: (\d{{1,12}}), Rank: (\d{{1,7}}), loss = ({NUMBER})\s*"
)


class DeepSpeed(Console):
    """Reads both lines of DeepSpeed's own and those of DeepSpeed-Chat."""

    def __init__(self) -> None:
        super().__init__()
        self._step = NO_STEP

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, None for a foreign one."""
        items = self._deepspeed(line) if "] [" in line else None
        return self._chat(line) if items is None else items

    def _deepspeed(self, line: str) -> Iterable[Item] | None:
        found = _STEP.search(line)
        if found is not None:
            values = {"skipped": float(found.group(2))}
            if (rate := number(found.group(3))) is not None:
                values["lr"] = rate
            return (Points(values, int(found.group(1)), timestamp(line)),)
        found = _SPEED.search(line)
        if found is not None:
            names = ("avg_sps", "cur_sps", "mem_gb", "max_mem_gb")
            read = zip(names, found.groups()[1:], strict=True)
            values = {name: plain(text) for name, text in read if text}
            return (Points(values, int(found.group(1)), timestamp(line)),)
        return self._said(line)

    def _said(self, line: str) -> Iterable[Item] | None:
        found = _OVERFLOW.search(line)
        if found is not None:
            return (Note(found.group(), "warning", time=timestamp(line)),)
        found = _SAVED.search(line)
        if found is not None:
            if self.again(found.group()):
                return ()
            step = NO_STEP if found.group(1) is None else int(found.group(1))
            return (Note(found.group(), "checkpoint", step, timestamp(line)),)
        found = _EXIT.search(line)
        if found is not None:
            how = found.group(1)
            good = how == "exits successfully" or how.endswith(" = 0")
            return (End("finished" if good else "failed", how, timestamp(line)),)
        return None

    def _chat(self, line: str) -> Iterable[Item] | None:
        ppo = _PPO.match(line)
        if ppo is not None:
            return self._ppo(ppo)
        reward = _REWARD.fullmatch(line)
        if reward is not None:
            name, score, other, moving = reward.groups()
            values = {name: plain(score)}
            if other is not None:
                values[other] = plain(moving)
            return (Points(values, self._step),)
        ranked = _RANKED.fullmatch(line)
        if ranked is not None:
            step, rank, loss = ranked.groups()
            return (Points({"loss": plain(loss)}, int(step), rank=int(rank)),)
        values = _scores(line)
        return (Points(values),) if values else None

    def _ppo(self, found: re.Match[str]) -> Iterable[Item] | None:
        values = {}
        for part in found.group(3).split("|"):
            name, _, text = part.partition(":")
            if (read := number(text.strip())) is not None and (name := name.strip()):
                values[name] = read
        if not values:
            return None
        self._step = int(found.group(2))
        return (Points(values, self._step),)


def _scores(line: str) -> dict[str, float]:
    """Return what an evaluation or an epoch ended with; nothing for any other line."""
    found = _PPL.fullmatch(line)
    if found is not None:
        values = {"ppl": plain(found.group(1))}
        if found.group(2) is not None:
            values["eval_loss"] = plain(found.group(2))
        return values
    found = _EPOCH.fullmatch(line)
    if found is not None:
        return {"epoch_loss": plain(found.group(1))}
    return {name: plain(text) for name, text in _SCORES.findall(line)}


FORMATS = (
    LineFormat(
        name="deepspeed",
        title="DeepSpeed, DeepSpeed-Chat",
        example=(
            "[2024-05-11 08:30:02,117] [INFO] [logging.py:96:log_dist] [Rank 0] step=40,"
            " skipped=2, lr=[1.5e-05, 1.5e-05], mom=[(0.9, 0.95), (0.9, 0.95)]"
        ),
        marks=(
            "[Rank 0] step=", "SamplesPerSec=", "OVERFLOW! Rank 0 ", "[Rank 0] Overflow detected",
            "is ready now!", "[launch.py:", " is better) : ", "|step: ", "| Step: ",
            "verage reward score: ", "ppl: ", " with loss ", ", loss = ",
        ),
        reader=DeepSpeed,
        units={
            "avg_sps": "samples/s", "cur_sps": "samples/s", "mem_gb": "GiB", "max_mem_gb": "GiB",
        },
    ),
)  # fmt: skip
