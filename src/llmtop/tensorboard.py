"""A SummaryWriter that publishes: existing code changes one import.

    from llmtop.tensorboard import SummaryWriter

Scalars become samples and text becomes events. What a terminal cannot draw (images, histograms,
graphs, embeddings) is accepted, and told once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

from llmtop.publish import current
from llmtop.publish.run import Run

PARENTS = frozenset({"runs", "logs", "tb_logs", "tensorboard", "/", "..", "."})
"""Folders whose names say nothing of the run."""
NAME_PARTS = 2
"""Last folders that name a run, as in "exp1/train"."""


class SummaryWriter:
    """What torch.utils.tensorboard's and tensorboardX's writers do, as far as it can be drawn."""

    def __init__(
        self, log_dir: Any = None, comment: str = "", *more: Any, run: Run | None = None,
        **named: Any,
    ) -> None:  # fmt: skip
        """Open a run.

        Args:
            log_dir: Names the run; nothing is written there.
            comment: Names it if `log_dir` does not.
            *more: Accepted.
            run: Write to this one instead; whoever opened it finishes it.
            **named: Accepted.
        """
        self.log_dir = None if log_dir is None else str(log_dir)
        self._name = run_name(self.log_dir, comment)
        self._given = run
        self._own: Run | None = None
        self._told: set[str] = set()
        _ = self.run

    @property
    def run(self) -> Run:
        """The run; another of the same name after `close`."""
        if self._given is not None:
            return self._given
        if self._own is None:
            self._own = current.init(self._name)
        return self._own

    def get_logdir(self) -> str | None:
        """Return `log_dir` as it was given."""
        return self.log_dir

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: Any = None, *more: Any, **named: Any
    ) -> None:
        """Publish one number; without a step it is of the step last logged."""
        if global_step is None:
            self.run.gauge(tag).set(scalar_value)
        else:
            self.run.log({tag: scalar_value}, step=global_step)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Any = None,
        *more: Any, **named: Any,
    ) -> None:  # fmt: skip
        """Publish several numbers as main_tag/tag."""
        for tag, value in tag_scalar_dict.items():
            self.add_scalar(f"{main_tag}/{tag}", value, global_step)

    def add_hparams(
        self, hparam_dict: Mapping[str, Any], metric_dict: Mapping[str, Any], *more: Any,
        global_step: Any = None, **named: Any,
    ) -> None:  # fmt: skip
        """Tell hyper-parameters as an event, and publish their metrics."""
        told = ", ".join(f"{name} = {value}" for name, value in hparam_dict.items())
        self.run.event(told, "note")
        for tag, value in metric_dict.items():
            self.add_scalar(tag, value, global_step)

    def add_text(self, tag: str, text_string: str, *more: Any, **named: Any) -> None:
        """Tell a text as an event."""
        self.run.event(f"{tag}: {text_string}", "note")

    def flush(self) -> None:
        """Do nothing: what is logged is sent at once."""

    def close(self) -> None:
        """End the run, unless it was given."""
        own, self._own = self._own, None
        if own is not None:
            own.finish()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        own, self._own = self._own, None
        if own is not None:
            own.__exit__(kind, error, trace)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("add_"):
            raise AttributeError(f"SummaryWriter has no attribute {name!r}")

        def accept(*values: Any, **named: Any) -> None:
            if name not in self._told:
                self._told.add(name)
                self.run.event(f"{name}() is accepted, not drawn", "warning")

        return accept


def run_name(log_dir: str | None, comment: str) -> str | None:
    """Return what to call a run that is logged to `log_dir`; None for the script's name."""
    parts = [part for part in PurePath(log_dir or "").parts if part not in PARENTS]
    return "/".join(parts[-NAME_PARTS:]) or comment.strip("_- ") or None
