"""The packing of frames, apart from what a hub or a publisher makes of them."""

from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmtop import wire
from llmtop.errors import WireError
from llmtop.wire import (
    BIN,
    BUCKET,
    HEADER,
    HIST_SHIFT,
    MAX_NAME_BYTES,
    RECORD,
    Kind,
    clean_name,
    hist_bin,
    json_number,
    pack,
    pack_json,
    read_json,
    unpack,
)


def test_the_layouts_are_frozen() -> None:
    """Publishers in other languages are written against these numbers."""
    assert (HEADER.size, RECORD.size, BUCKET.size, BIN.size) == (32, 24, 64, 6)
    assert {kind.name: kind.value for kind in Kind} == {
        "HELLO": 1, "DEFS": 2, "DATA": 3, "BYE": 4, "PING": 5, "REPLAY": 6, "BUCKETS": 7,
        "EVENT": 8, "HIST": 9, "PONG": 10, "COUNTS": 11, "CONTROL": 12,
    }  # fmt: skip
    record = RECORD.pack(1, 500, -1, 0.5)
    frame = pack(Kind.DATA, record, count=1, session=0x0102030405060708, seq=9, t0=2.0)
    assert frame.hex() == (
        "4c54" "01" "03" "01000000" "0807060504030201" "0900000000000000" "0000000000000040"
        "01000000" "f4010000" "ffffffffffffffff" "000000000000e03f"
    )


def test_every_kind_is_described() -> None:
    for kind in Kind:
        assert f" {kind.value} {kind.name} " in " ".join((wire.__doc__ or "").split()), kind


@pytest.mark.parametrize(("frame", "reason"), [
    (b"", "frame of 0 bytes is shorter than the 32-byte header"),
    (b"XX" + bytes(30), "frame starts with b'XX', not b'LT'"),
    (HEADER.pack(b"LT", 2, 3, 0, 1, 0, 0.0), "protocol version 2, this is 1: upgrade"),
    (pack(Kind.DATA, bytes(25), count=1), "kind 3 says 1 records of 24 bytes but carries 25"),
    (pack(Kind.BUCKETS, bytes(64), count=2), "kind 7 says 2 records of 64 bytes but carries 64"),
    (pack(Kind.HIST, bytes(4), count=1), "HIST says 1 bins but carries 4 bytes"),
    (pack(Kind.REPLAY), "REPLAY carries 0 bytes, not 8"),
])  # fmt: skip
def test_what_is_wrong_with_a_frame_is_said(frame: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        unpack(frame)
    assert reason in str(caught.value)


def test_json_payloads_are_of_the_type_expected() -> None:
    frame = unpack(pack_json(Kind.HELLO, {"a": [1, None, "é"]}, session=3, seq=4))
    assert read_json(frame, dict) == {"a": [1, None, "é"]}
    with pytest.raises(WireError, match="kind 1 carries dict, not list"):
        read_json(frame, list)
    for payload in (b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(WireError, match="bad JSON"):
            read_json(unpack(pack(Kind.DEFS, payload)), list)


@given(st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.floats()))
@example("")
@example("é" * MAX_NAME_BYTES)
@example("\x1b[2J\x00\x7f\u202e\ud800")
def test_names_are_printable_bounded_and_stay_as_they_are(name: object) -> None:
    clean = clean_name(name)
    assert clean
    assert clean.isprintable()
    assert len(clean.encode()) <= MAX_NAME_BYTES
    assert clean_name(clean) == clean
    if isinstance(name, str) and name.isascii() and name.isprintable() and len(name) < 200:
        assert clean == (name or "unnamed")


@given(st.floats(width=32, allow_nan=False))
@example(math.nan)
@example(math.inf)
def test_a_bin_is_a_64th_of_an_octave(value: float) -> None:
    one = hist_bin(value)
    assert 0 <= one < 1 << 15
    low, high = (
        struct.unpack("<f", struct.pack("<I", bits))[0]
        for bits in (one << HIST_SHIFT, ((one + 1) << HIST_SHIFT) - 1)
    )
    if math.isfinite(value):
        assert min(low, high) <= value <= max(low, high)
        if abs(value) >= 1.1754943508222875e-38:
            assert abs(high - low) <= abs(low) / 64


@given(st.floats(allow_infinity=False, allow_nan=False))
def test_bins_of_floats_beyond_float32_are_those_of_infinity(value: float) -> None:
    if abs(value) > 3.5e38:
        assert hist_bin(value) == hist_bin(math.copysign(math.inf, value))


@given(st.floats())
def test_a_number_survives_strict_json(value: float) -> None:
    text = json.dumps(json_number(value), allow_nan=False)
    again = float(json.loads(text))
    assert again == value or math.isnan(again) == math.isnan(value) is True


