"""A real Keras fit, on torch."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from listener import Listener

pytest.importorskip("torch", reason="needs the frameworks extra")

SCRIPT = """
import keras, numpy
from llmtop.integrations.keras import LlmtopCallback
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)], name="small")
model.compile(optimizer="sgd", loss="mse")
x, y = numpy.ones((16, 3)), numpy.ones((16, 1))
history = model.fit(x, y, batch_size=4, epochs=2, verbose=0, validation_data=(x, y),
                    callbacks=[LlmtopCallback(name="fit")])
print(history.history["loss"], history.history["val_loss"])
"""


def test_a_fit(rendezvous: Path) -> None:
    # Importing it here would choose its backend.
    if find_spec("keras") is None:
        pytest.skip("needs the frameworks extra")
    with Listener(rendezvous) as hub:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT], text=True, env={**os.environ, "KERAS_BACKEND": "torch"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            hub.until(lambda: hub.sessions or process.poll(), 50)
            heard = hub.hear()
        finally:
            out, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    steps = [step for step, _ in heard.points("loss")]
    assert steps == list(range(1, 9))
    epochs = [value for step, value in heard.points("loss") if step in (4, 8)]
    assert str(epochs) in out
    assert str(heard.values("val_loss")) in out
    assert heard.points("epoch") == [(4, 1.0), (8, 2.0)]
    hello = heard.hellos[0]
    assert (hello["name"], hello["total_steps"]) == ("fit", 8)
    assert hello["tags"]["config"]["model"] == "small"
    assert heard.bye == {"reason": "finished", "text": ""}
