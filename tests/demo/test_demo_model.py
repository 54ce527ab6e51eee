"""The model learns: its gradients are those of its loss, and following them lowers it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from llmtop.demo import corpus
from llmtop.demo.adam import MAX_NORM, PEAK_RATE, WARM_UP_STEPS, Adam, clip, learning_rate
from llmtop.demo.model import Model, Shape, initial

SMALL = Shape(vocabulary=11, context=6, width=8, heads=2, layers=2)
NAMES = sorted(initial(SMALL, np.random.default_rng(0)))


@pytest.fixture
def small() -> Model:
    random = np.random.default_rng(3)
    parameters = initial(SMALL, random, np.float64)
    # Large enough that no gradient drowns in rounding.
    return Model(SMALL, {name: part + random.normal(0, 0.3, part.shape)
                         for name, part in parameters.items()})  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_the_slope_of_the_loss(small: Model, name: str) -> None:
    random = np.random.default_rng(5)
    tokens, targets = random.integers(0, SMALL.vocabulary, (2, 3, SMALL.context))
    gradient = small.learn(tokens, targets).gradients[name]
    part = small.parameters[name]
    assert gradient.shape == part.shape
    for at in random.integers(0, part.size, 12).tolist():
        kept, around = part.flat[at], []
        for nudge in (1e-5, -1e-5):
            part.flat[at] = kept + nudge
            around.append(small.evaluate(tokens, targets)[0])
        part.flat[at] = kept
        assert gradient.flat[at] == pytest.approx(
            (around[0] - around[1]) / 2e-5, rel=1e-5, abs=1e-9
        )


def test_no_token_sees_what_follows_it(small: Model) -> None:
    tokens = np.arange(SMALL.context)[None] % SMALL.vocabulary
    before, _ = small._forward(tokens)
    changed = tokens.copy()
    changed[0, -1] += 1
    after, _ = small._forward(changed)
    np.testing.assert_allclose(before[0, :-1], after[0, :-1])
    assert not np.allclose(before[0, -1], after[0, -1])


def test_a_fresh_model_knows_nothing() -> None:
    shape = Shape()
    model = Model(shape, initial(shape, np.random.default_rng(0)))
    tokens = np.random.default_rng(1).integers(0, shape.vocabulary, (2, 4, shape.context))
    loss, accuracy = model.evaluate(*tokens)
    assert loss == pytest.approx(math.log(shape.vocabulary), abs=0.1)
    assert accuracy < 0.1


def test_training_lowers_the_loss_of_the_real_text() -> None:
    random = np.random.default_rng(0)
    text, held_out = corpus.split(corpus.encode(corpus.read_text()))
    shape = Shape()
    model = Model(shape, initial(shape, random))
    optimizer = Adam(model.parameters)
    exam = corpus.windows(held_out, 16, shape.context, random)
    before, _ = model.evaluate(*exam)
    for step in range(40):
        learned = model.learn(*corpus.windows(text, 8, shape.context, random))
        clip(learned.gradients)
        optimizer.update(learned.gradients, learning_rate(step, 1000))
    after, accuracy = model.evaluate(*exam)
    assert after < before - 1
    assert accuracy > 0.1


def test_text_is_this_package_and_survives_encoding() -> None:
    text = corpus.read_text()
    assert "def read_text" in text
    plain = "".join(char for char in text if char in corpus.VOCABULARY)
    assert corpus.decode(corpus.encode(text)) == plain
    assert len(plain) > 0.98 * len(text)
    assert len(corpus.VOCABULARY) == Shape().vocabulary


def test_targets_are_what_follows() -> None:
    tokens = np.arange(100)
    first, second = corpus.windows(tokens, 5, 10, np.random.default_rng(0))
    assert first.shape == second.shape == (5, 10)
    np.testing.assert_array_equal(second, first + 1)


def test_learning_rate_warms_up_and_decays() -> None:
    rates = [learning_rate(step, 1000) for step in range(1000)]
    assert max(rates) == rates[WARM_UP_STEPS - 1] == pytest.approx(PEAK_RATE)
    assert rates[0] < rates[WARM_UP_STEPS // 2] < PEAK_RATE
    assert rates[WARM_UP_STEPS:] == sorted(rates[WARM_UP_STEPS:], reverse=True)
    assert 0 < rates[-1] < 0.1 * PEAK_RATE


def test_clip_keeps_the_direction_and_tells_the_norm() -> None:
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    assert clip(gradients) == pytest.approx(5.0)
    np.testing.assert_allclose(gradients["a"], [0.6 * MAX_NORM, 0.0], rtol=1e-6)
    np.testing.assert_allclose(gradients["b"], [[0.8 * MAX_NORM]], rtol=1e-6)
    small = {"a": np.array([0.3])}
    assert clip(small) == pytest.approx(0.3)
    assert small["a"][0] == 0.3
