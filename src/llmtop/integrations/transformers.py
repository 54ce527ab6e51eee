"""Hugging Face Trainer, and what is built on it (TRL, SFT, Unsloth).

    trainer = Trainer(..., callbacks=[LlmtopCallback()])

Importing this module also makes the name known to the Trainer: report_to="llmtop".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from transformers import TrainerCallback
from transformers.integrations import integration_utils

from llmtop.integrations.stopping import ranks_agree
from llmtop.integrations.target import Target
from llmtop.publish.run import Run

WHOLE_RUN = frozenset(
    {
        "total_flos", "train_loss", "train_runtime", "train_samples_per_second",
        "train_steps_per_second",
    }
)  # fmt: skip
"""What the Trainer logs once, of all its steps together: no points of a curve."""


class LlmtopCallback(TrainerCallback):
    """Publishes what the Trainer logs, its checkpoints and its settings."""

    def __init__(self, run: Run | None = None, **about: Any) -> None:
        """Publish to `run`, or to the one that is open, or to one of its own.

        Args:
            run: A run of the user's, who finishes it.
            **about: Arguments of `llmtop.init`, such as name, tags or stoppable.
        """
        self._target = Target(run, about)
        self._training = False

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **host: Any
    ) -> None:
        """Open the run; one that was never ended has failed."""
        self._target.finish("failed")
        self._training = True
        self._run(args, state, model)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None,
        model: Any = None, **host: Any,
    ) -> None:  # fmt: skip
        """Publish one line of the Trainer's log at its step."""
        if not logs:
            return
        run = self._run(args, state, model)
        whole = [f"{name} {logs[name]:g}" for name in logs if name in WHOLE_RUN]
        if whole:
            run.event(f"trained: {', '.join(whole)}")
        points = {name: value for name, value in logs.items() if name not in WHOLE_RUN}
        # The last epoch is told twice: the second time with what holds for the whole run.
        if not whole or points.keys() - {"epoch"}:
            run.log(points, step=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **host: Any) -> Any:
        """Stop where a monitor asks for it and the run was opened with stoppable=True."""
        run = self._target.opened
        if run is not None and run.stoppable and ranks_agree(
            run.should_stop, state.global_step, args.device
        ):
            control.should_training_stop = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **host: Any) -> None:
        """Mark a checkpoint."""
        self._run(args, state, model).event(f"checkpoint {state.global_step} saved")

    def on_evaluate(self, args: Any, state: Any, control: Any, **host: Any) -> None:
        """End the run if it was one of evaluation only."""
        if not self._training:
            self._target.finish()

    def on_train_end(self, args: Any, state: Any, control: Any, **host: Any) -> None:
        """End the run."""
        self._training = False
        self._target.finish()

    def _run(self, args: Any, state: Any, model: Any) -> Run:
        return self._target.run(
            name=state.trial_name or args.run_name or PurePath(args.output_dir or "").name or None,
            total_steps=state.max_steps if self._training else None,
            phase="train" if self._training else "eval",
            config=args.to_sanitized_dict(),
            tags=model_tags(model),
        )


def model_tags(model: Any) -> dict[str, Any]:
    """Return what names the model and its size, as far as it says."""
    config = getattr(model, "config", None)
    count = getattr(model, "num_parameters", None)
    tags = {
        "model": getattr(config, "name_or_path", "") or getattr(config, "model_type", ""),
        "parameters": count() if callable(count) else None,
    }
    return {key: value for key, value in tags.items() if value}


integration_utils.INTEGRATION_TO_CALLBACK.setdefault("llmtop", LlmtopCallback)
