"""What may stand as a value or a name in a call: all of it is told, none of it raises."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listener import Heard, Listener

import llmtop
from llmtop.publish.values import MAX_DEPTH, MAX_TEXT, convert, flatten
from llmtop.wire import DROPPED_NAME, MAX_NAME_BYTES

Told = Callable[[Callable[[llmtop.Run], object]], Heard]


@pytest.fixture
def told(rendezvous: Path) -> Told:
    """Return a function that lets a run log, and returns what a monitor heard of it."""

    def tell(use: Callable[[llmtop.Run], object]) -> Heard:
        with Listener(rendezvous) as hub:
            run = llmtop.init("values")
            use(run)
            run.log({"the end": 1.0})
            return hub.hear(lambda heard: heard.values("the end"))

    return tell


class Colour(Enum):
    RED = 1


class Word(str, Enum):
    LOSS = "loss"


class Reluctant:
    def __float__(self) -> float:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__
    __hash__ = object.__hash__


class Shy:
    """Raises for every attribute that is asked for."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


NUMBERS: dict[str, tuple[Any, float]] = {
    "float": (0.1, 0.1),
    "int": (7, 7.0),
    "zero": (-0.0, -0.0),
    "denormal": (5e-324, 5e-324),
    "largest": (1.7976931348623157e308, 1.7976931348623157e308),
    "beyond 53 bits": ((1 << 53) + 1, float(1 << 53)),
    "huge": (10**308, 1e308),
    "true": (True, 1.0),
    "false": (False, 0.0),
    "decimal": (Decimal("0.1"), 0.1),
    "fraction": (Fraction(1, 3), 1 / 3),
    "text": (" 1e-3 ", 1e-3),
    "text of infinity": ("-inf", -math.inf),
}
"""Name -> a value and the number that must arrive."""
NO_NUMBERS: dict[str, Any] = {
    "list": [1.0], "tuple": (1.0,), "set": {1.0}, "complex": 1j, "object": object(),
    "function": len, "class": float, "reluctant": Reluctant(), "shy": Shy(),
    "beyond floats": 10**400, "negative beyond": -(10**400), "decimal too": Decimal("sNaN"),
    "bytes of none": b"abc", "namespace": SimpleNamespace(item=3),
}  # fmt: skip
"""Name -> what is no number: each is one sample dropped."""


def test_every_number_arrives_as_the_nearest_float(told: Told) -> None:
    heard = told(lambda run: run.log({name: value for name, (value, _) in NUMBERS.items()}))
    got = {name: heard.values(name) for name in NUMBERS}
    assert got == {name: [value] for name, (_, value) in NUMBERS.items()}
    assert math.copysign(1, got["zero"][0]) == -1
    assert heard.values(DROPPED_NAME) == []


def test_what_is_no_number_is_counted_and_told_and_leaves_the_rest_alone(told: Told) -> None:
    def use(run: llmtop.Run) -> None:
        run.log({"before": 1.0, **NO_NUMBERS, "after": 2.0})

    heard = told(use)
    assert heard.values("before") + heard.values("after") == [1.0, 2.0]
    assert [name for name in NO_NUMBERS if heard.values(name)] == []
    assert sum(heard.values(DROPPED_NAME)) == len(NO_NUMBERS)
    assert any("type list" in text for text in heard.texts("warning"))


def test_none_and_text_are_no_losses(told: Told) -> None:
    heard = told(lambda run: run.log({"none": None, "phase": "warm\x1b[2J-up", "long": "x" * 9999}))
    assert heard.values(DROPPED_NAME) == []
    notes = heard.texts("note")
    assert notes[0] == "phase = warm[2J-up"
    assert notes[1] == "long = " + "x" * MAX_TEXT


def test_numpy_numbers_of_every_type_and_shape_of_one_element(told: Told) -> None:
    numpy = pytest.importorskip("numpy")
    types = ("bool_", "int8", "uint64", "int64", "float16", "float32", "float64", "longdouble")
    values = {name: getattr(numpy, name)(1) for name in types}
    values |= {f"{name} of no dimension": numpy.array(1, dtype=name) for name in types}
    values |= {f"{name} of three": numpy.ones((1, 1, 1), dtype=name) for name in types}
    odd = {"many": numpy.zeros(3), "none": numpy.zeros(0), "objects": numpy.array([None]),
           "times": numpy.array(["nat"], dtype="datetime64[s]")}  # fmt: skip
    heard = told(lambda run: run.log({**values, **odd, "f32": numpy.float32(0.1)}, numpy.int64(7)))
    assert {name: heard.points(name) for name in values} == {name: [(7, 1.0)] for name in values}
    assert heard.values("f32") == [float(numpy.float32(0.1))]
    assert sum(heard.values(DROPPED_NAME)) == len(odd)


def test_names_of_every_sort(told: Told) -> None:
    names = {
        "plain": "plain", "": "unnamed", "emoji 🔥": "emoji 🔥", "nl\nx\x1b[31m": "nlx[31m",
        "é" * 200: "é" * (MAX_NAME_BYTES // 2), b"bytes": "bytes", "\ud800lone": "lone",
        7: "7", 2.5: "2.5", False: "False", Colour.RED: "Colour.RED", Word.LOSS: "loss",
    }  # fmt: skip
    heard = told(lambda run: run.log(dict.fromkeys(names, 1.0)))
    assert set(heard.names.values()) >= set(names.values())
    assert {name: heard.values(name) for name in names.values()} == {
        name: [1.0] for name in names.values()
    }


def test_names_within_names_of_every_sort(told: Told) -> None:
    nested = {
        "train": {b"loss": 1.0, Word.LOSS: {"x": 2.0}, 3: 3.0},
        b"eval": OrderedDict(acc=4.0), "proxy": MappingProxyType({"y": 5.0}),
    }  # fmt: skip
    heard = told(lambda run: run.log(nested))
    got = {name: heard.values(name) for name in heard.names.values() if "/" in name}
    del got["llmtop/dropped"], got["llmtop/overflow"]
    assert got == {"train/loss": [1.0], "train/loss/x": [2.0], "train/3": [3.0],
                   "eval/acc": [4.0], "proxy/y": [5.0]}  # fmt: skip


def test_what_is_no_name_is_counted(told: Told) -> None:
    odd = {(1, 2): 1.0, None: 1.0, object(): 1.0, Reluctant(): 1.0, frozenset(): 1.0}
    heard = told(lambda run: (run.log(odd), run.log({"n": odd}), run.log({(1,): {"x": 1.0}})))
    assert sum(heard.values(DROPPED_NAME)) == 2 * len(odd) + 1
    assert set(heard.names.values()) == {"llmtop/dropped", "llmtop/overflow", "the end"}


def test_a_dict_within_itself_and_one_that_fails_raise_nothing(told: Told) -> None:
    class Failing(dict[str, float]):
        def items(self) -> Any:
            raise RuntimeError("no")

    endless: dict[str, Any] = {"a": 1.0}
    endless["self"] = endless
    heard = told(lambda run: (run.log(endless), run.log(Failing(a=1.0)), run.log([("a", 1.0)])))
    assert len([name for name in heard.names.values() if name.endswith("a")]) == MAX_DEPTH + 1
    assert any("nested deeper" in text for text in heard.texts("warning"))
    assert any("takes a dict, not list" in text for text in heard.texts("warning"))


STEPS: list[tuple[Any, int]] = [
    (7, 7), (True, 1), (7.0, 7), (Decimal(7), 7), ("7", 7), (Fraction(7), 7), (-1, -1),
    ((1 << 63) - 1, (1 << 63) - 1), (1 << 63, -1), (math.nan, -1), ("seven", -1), ([7], -1),
    (Reluctant(), -1), (1e300, -1),
]  # fmt: skip
"""What is given as a step, and what arrives; -1 is none."""


def test_steps_of_every_sort(told: Told) -> None:
    def use(run: llmtop.Run) -> None:
        for at, (step, _) in enumerate(STEPS):
            run.log({f"s{at}": 1.0}, step=step)

    heard = told(use)
    got = [heard.points(f"s{at}") for at in range(len(STEPS))]
    assert got == [[(expected, 1.0)] for _, expected in STEPS]


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)
    | st.binary(max_size=9) | st.decimals() | st.complex_numbers() | st.fractions(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(max_size=5) | st.binary(max_size=5) | st.integers() | st.none(), inner, max_size=4
    ), max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=9) | st.binary(max_size=9), anything, max_size=6))
def test_whatever_is_given_becomes_plain_values_or_a_complaint(metrics: dict[Any, Any]) -> None:
    complaints: list[str] = []
    flat = flatten(metrics, complaints.append)
    assert {type(value) for value in flat.values()} <= {float, int, bool, str, type(None)}
    for value in metrics.values():
        if not isinstance(value, dict):
            number = convert(value, complaints.append)
            assert type(number) in (float, int, bool, str, type(None))
    assert all(text.isprintable() for text in complaints)
