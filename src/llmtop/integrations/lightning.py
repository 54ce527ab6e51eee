"""Lightning, under either of its names.

    logger = LlmtopLogger("gpt-small", stoppable=True)
    trainer = Trainer(logger=logger, callbacks=[LlmtopStopper(logger)])
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from llmtop.integrations.stopping import EVERY_STEPS
from llmtop.integrations.target import Target
from llmtop.publish import environment
from llmtop.publish.run import Run

HOSTS = ("lightning.pytorch", "pytorch_lightning")


def _import_host() -> str:
    """Import the Lightning that the user has imported, or else any; return its name."""
    for host in sorted(HOSTS, key=lambda name: name not in sys.modules):
        try:
            import_module(f"{host}.loggers.logger")
        except ImportError:
            continue
        return host
    raise ImportError("LlmtopLogger needs lightning (or pytorch_lightning); neither is installed")


HOST = _import_host()
Logger: Any = import_module(f"{HOST}.loggers.logger").Logger
Callback: Any = import_module(f"{HOST}.callbacks").Callback
rank_zero_only: Any = import_module(f"{HOST}.utilities.rank_zero").rank_zero_only


class Experiment:
    """The run, from its first use on: Lightning asks for it before it tells what to call it."""

    def __init__(self, logger: LlmtopLogger) -> None:
        """Stand for the run of `logger`."""
        self._logger = logger

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._logger.run, name)


class LlmtopLogger(Logger):
    """A Lightning logger. It may be one of several."""

    def __init__(self, name: str | None = None, run: Run | None = None, **about: Any) -> None:
        """Publish to `run`, or to the one that is open, or to one of its own.

        Args:
            name: Of a run of its own.
            run: A run of the user's, who finishes it.
            **about: Other arguments of `llmtop.init`, such as total_steps.
        """
        super().__init__()
        if name:
            about["name"] = name
        self._target = Target(run, about)
        self._version = time.strftime("%Y%m%d-%H%M%S")
        self._config: dict[str, Any] = {}
        self._total_steps: int | None = None
        self._world_size: int | None = None

    @property
    def name(self) -> str:
        """The run's name; Lightning keeps checkpoints in a folder of this name."""
        return self._target.name or str(environment.default_name())

    @property
    def version(self) -> str:
        """When the logger was made; a folder below that of the name."""
        return self._version

    @property
    def experiment(self) -> Experiment:
        """The run, to observe, count and mark in."""
        return Experiment(self)

    @property
    def run(self) -> Run:
        """The run, opened at the first use."""
        many = self._world_size is not None and self._world_size > 1
        return self._target.run(
            config=self._config or None,
            total_steps=self._total_steps,
            rank=getattr(rank_zero_only, "rank", None) if many else None,
            world_size=self._world_size if many else None,
        )

    @property
    def opened(self) -> Run | None:
        """The run, if it is open already."""
        return self._target.opened

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Publish metrics of one step."""
        self.run.log(dict(metrics), step=step)

    def log_hyperparams(self, params: Any, *more: Any, **named: Any) -> None:
        """Keep hyper-parameters for when the run is opened."""
        try:
            self._config.update(params if isinstance(params, Mapping) else vars(params))
        except TypeError:
            self._config["hyperparameters"] = str(params)

    def log_graph(self, model: Any, *more: Any, **named: Any) -> None:
        """Open the run: Lightning calls this when it begins, with the module and its trainer."""
        trainer = getattr(model, "_trainer", None)
        steps = getattr(trainer, "max_steps", None)
        if isinstance(steps, int) and steps > 0:
            self._total_steps = steps
        self._world_size = getattr(trainer, "world_size", None)
        _ = self.run

    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Mark a checkpoint."""
        path = getattr(checkpoint_callback, "_last_checkpoint_saved", "")
        self.run.event(f"checkpoint {path} saved" if path else "checkpoint saved")

    def finalize(self, status: str) -> None:
        """End the run; a later test or validation opens another of the same name."""
        self._target.finish("failed" if status in ("failed", "aborted") else None)


class LlmtopStopper(Callback):
    """Ends a fit where a monitor asks for it and the logger's run is stoppable: no logger can."""

    def __init__(self, logger: LlmtopLogger) -> None:
        """Heed what the run of `logger` is asked."""
        super().__init__()
        self._logger = logger

    def on_train_batch_end(self, trainer: Any, *words: Any, **named: Any) -> None:
        """Stop after this batch, all ranks together."""
        run = self._logger.opened
        step = trainer.fit_loop.total_batch_idx
        if run is None or not run.stoppable or (trainer.world_size > 1 and step % EVERY_STEPS):
            return
        stop = trainer.strategy.reduce_boolean_decision(run.should_stop, all=False)
        trainer.should_stop = trainer.should_stop or stop
