"""Keras 3, on any backend.

    model.fit(x, y, callbacks=[LlmtopCallback()])

Values of a batch are as Keras gives them: means since the epoch began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from llmtop.integrations.target import Target
from llmtop.publish.run import Run


class LlmtopCallback(keras.callbacks.Callback):
    """Publishes the logs of every batch, and of the validation after an epoch."""

    def __init__(self, run: Run | None = None, **about: Any) -> None:
        """Publish to `run`, or to the one that is open, or to one of its own.

        Args:
            run: A run of the user's, who finishes it.
            **about: Arguments of `llmtop.init`, such as name or tags.
        """
        super().__init__()
        # Keras would wait for the device after every batch otherwise.
        self.async_safe = True
        self._target = Target(run, about)
        self._before = 0
        """Batches of the epochs before this one."""
        self._batches = 0
        """Batches of this epoch."""

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Open the run; one that was never ended has failed."""
        self._target.finish("failed")
        self._before = self._batches = 0
        epochs, steps = self.params.get("epochs"), self.params.get("steps")
        self._target.run(
            total_steps=epochs * steps if epochs and steps else None,
            config={**self.params, "model": self.model.name},
        )

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Publish the logs of a batch."""
        self._batches = batch + 1
        if logs:
            self._target.run().log(dict(logs), step=self._before + batch + 1)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Publish what is known at the end of an epoch only."""
        self._before, self._batches = self._before + self._batches, 0
        late = {
            name: value
            for name, value in (logs or {}).items()
            if name.startswith("val_") or name == "learning_rate"
        }
        self._target.run().log({**late, "epoch": epoch + 1}, step=self._before)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """End the run."""
        self._target.finish()
