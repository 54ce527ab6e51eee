"""Trains the model: `python -m llmtop.demo.train DIRECTORY`. The llmtop lines are all there is."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

import llmtop
from llmtop.demo import checkpoint, corpus, leash
from llmtop.demo.adam import Adam, clip, learning_rate
from llmtop.demo.model import Model, Shape, initial

TOTAL_STEPS = 12_000
BATCH = 16
STEP_SECONDS = 1 / 16
"""A step takes at least this long, so that the run lasts 12 minutes on a fast machine too."""
BUSY_SHARE = 0.7
"""Of one core, at most: the machine is somebody's."""
EVAL_STEPS = 100
EVAL_BATCHES = 4
CHECKPOINT_STEPS = 500


def train(
    directory: Path, total_steps: int = TOTAL_STEPS, step_seconds: float = STEP_SECONDS
) -> Model:
    """Train until the last step or the end of the parent; return the model."""
    random = np.random.default_rng(0)
    text, held_out = corpus.split(corpus.encode(corpus.read_text()))
    shape = Shape()
    model = Model(shape, initial(shape, random))
    optimizer = Adam(model.parameters)
    exam = [corpus.windows(held_out, BATCH, shape.context, random) for _ in range(EVAL_BATCHES)]
    tokens = BATCH * shape.context

    with llmtop.init("tiny-gpt", total_steps=total_steps, tokens_per_step=tokens) as run:
        previous = time.perf_counter()
        for step in range(total_steps):
            began = time.perf_counter()
            learned = model.learn(*corpus.windows(text, BATCH, shape.context, random))
            norm = clip(learned.gradients)
            rate = learning_rate(step, total_steps)
            optimizer.update(learned.gradients, rate)
            if step % EVAL_STEPS == 0:
                loss, accuracy = np.mean([model.evaluate(*part) for part in exam], axis=0)
                run.log({"eval": {"loss": loss, "accuracy": accuracy}}, step=step)
            if step % CHECKPOINT_STEPS == 0 or step == total_steps - 1:
                checkpoint.save(directory, step, model.parameters)
                run.event(f"checkpoint {step} saved")
            busy = time.perf_counter() - began
            if leash.gone(max(step_seconds - busy, busy * (1 / BUSY_SHARE - 1))):
                break
            now = time.perf_counter()
            run.log(
                {
                    "loss": learned.loss,
                    "accuracy": learned.accuracy,
                    "grad_norm": norm,
                    "learning_rate": rate,
                    "tokens_per_second": tokens / (now - previous),
                },
                step=step,
            )
            previous = now
    return model


if __name__ == "__main__":
    train(Path(sys.argv[1]))
