"""What a hub makes of frames: each DATA once and in order or counted lost, and nothing raises."""

from __future__ import annotations

import json
import math
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publishing import HELLO, SESSION, Wire

from llmtop.errors import WireError
from llmtop.samples import Batch
from llmtop.sources.sequence import Sequence
from llmtop.wire import (
    BUCKET,
    HEADER,
    MAX_RECORDS,
    MAX_SIDS,
    OVERFLOW_NAME,
    RECORD,
    Kind,
    clean_name,
    pack,
    pack_json,
    unpack,
)


def test_a_gap_is_asked_for_and_what_is_beyond_it_waits_for_the_replay() -> None:
    wire = Wire()
    for seq in (0, 1, 3, 4):
        wire.data(seq)
    assert wire.replays() == [2]
    assert wire.values() == [0.0, 1.0]
    for seq in (2, 3, 4, 5):
        wire.data(seq)
    batch = wire.take()
    assert batch.samples is not None
    assert batch.samples.value.tolist() == [2.0, 3.0, 4.0, 5.0]
    assert batch.dropped == 0


def test_duplicates_fall() -> None:
    wire = Wire()
    for seq in (0, 0, 1, 1, 0, 2):
        wire.data(seq)
    assert wire.values() == [0.0, 1.0, 2.0]


def test_a_lost_end_is_asked_for_before_the_farewell_is_answered() -> None:
    """The PING after BYE says where the session stands: a PONG to it would end the publisher."""
    wire = Wire()
    wire.data(0)
    wire.say(pack_json(Kind.BYE, {"reason": "finished"}, session=SESSION, seq=2))
    wire.say(pack(Kind.PING, session=SESSION, seq=2))
    assert [unpack(data).kind for _, data in wire.intake.answers] == [Kind.REPLAY]
    assert wire.replays() == [1]
    wire.data(1)
    wire.say(pack(Kind.PING, session=SESSION, seq=2))
    assert [unpack(data).kind for _, data in wire.intake.answers] == [Kind.PONG]
    assert wire.values() == [0.0, 1.0]


def test_what_never_comes_is_counted() -> None:
    wire = Wire()
    wire.data(0, 1.0, 2.0)
    wire.say(pack(Kind.PONG, session=SESSION, seq=3))
    assert wire.replays() == [1]
    wire.wait(3.5)
    wire.say(pack(Kind.PONG, session=SESSION, seq=3))
    assert wire.take().dropped == 4


def test_what_was_missing_when_a_run_died_counts_as_lost() -> None:
    wire = Wire()
    wire.data(0, 1.0, 2.0)
    wire.data(3, 1.0, 2.0)
    wire.take()
    wire.wait(8.5)
    wire.intake.tick()
    batch = wire.take()
    assert ([end.reason for end in batch.ends], batch.dropped) == (["died"], 6)
    # It lived after all, and sends again what has been counted.
    for seq in range(1, 5):
        wire.data(seq, float(seq))
    batch = wire.take()
    assert batch.samples is not None
    assert (batch.samples.value.tolist(), batch.dropped) == ([4.0], 0)


def test_what_was_missing_at_the_farewell_counts_as_lost_once_it_can_no_longer_come() -> None:
    wire = Wire()
    wire.data(0)
    wire.say(pack_json(Kind.BYE, {"reason": "finished"}, session=SESSION, seq=3))
    wire.say(pack(Kind.PING, session=SESSION, seq=3))
    wire.intake.tick()
    assert wire.take().dropped == 0
    wire.wait(3.5)
    for dropped in (2, 0):
        wire.intake.tick()
        assert wire.take().dropped == dropped


def test_a_run_that_is_silent_elsewhere_died_and_one_that_comes_back_did_not() -> None:
    wire = Wire()
    wire.data(0)
    wire.take()
    wire.wait(8.5)
    wire.intake.tick()
    (end,) = wire.take().ends
    assert (end.reason, end.text) == ("died", "silent for 8 s")
    wire.data(1)
    assert [info.name for info in wire.take().runs] == ["r"]


def test_bye_ends_a_run_once() -> None:
    wire = Wire()
    for _ in range(2):
        wire.say(pack_json(Kind.BYE, {"reason": "failed", "text": "E: x"}, session=SESSION))
    (end,) = wire.take().ends
    assert (end.reason, end.text) == ("failed", "E: x")


def test_a_session_never_introduced_is_asked_who_it_is_once_a_second() -> None:
    wire = Wire()
    stranger = pack(Kind.PONG, session=99, seq=1)
    for _ in range(5):
        wire.say(stranger, b"two")
    assert [(who, unpack(data).kind) for who, data in wire.intake.answers] == [(b"two", Kind.PING)]
    wire.wait(1.5)
    wire.say(stranger, b"two")
    assert len(wire.intake.answers) == 2


def test_a_sid_redefined_leaves_earlier_samples_with_the_old_name() -> None:
    wire = Wire()
    wire.data(0)
    wire.define((0, "b"))
    wire.data(1)
    batch = wire.take()
    names = {info.key: info.name for info in batch.series}
    assert batch.samples is not None
    assert [names[int(key)] for key in batch.samples.series] == ["a", "b"]


def test_names_beyond_the_limit_fold_into_one_series_and_unnamed_samples_are_counted() -> None:
    wire = Wire()
    wire.define(*((sid, f"n{sid}") for sid in range(1, MAX_SIDS + 900)))
    wire.data(0, 5.0, 6.0, sid=MAX_SIDS + 800)
    batch = wire.take()
    names = {info.key: info.name for info in batch.series}
    assert batch.samples is not None
    assert [names[int(key)] for key in batch.samples.series] == [OVERFLOW_NAME] * 2
    assert batch.samples.value.tolist() == [1.0, 1.0]
    assert len(names) == MAX_SIDS + 1
    other = Wire()
    other.data(0, 1.0, 2.0, sid=5)
    assert other.take().dropped == 2


def test_names_and_texts_of_others_are_safe_to_show() -> None:
    wire = Wire(name="\x1b[2Jrun\n", host="h\x07", tags={"k\x1b": "v\x1b[31m"})
    wire.define((1, "\x1b]0;title\x07loss"))
    wire.say(pack_json(Kind.EVENT, {"t": 1, "level": "i\x1b", "text": "x\x1b\r"}, session=SESSION))
    batch = wire.take()
    shown = [batch.runs[0].name, batch.runs[0].host, str(dict(batch.runs[0].tags)),
             batch.series[1].name, batch.events[0].text, batch.events[0].level]  # fmt: skip
    assert all(text.isprintable() for text in shown), shown


@pytest.mark.parametrize("frame", [
    b"", b"L", b"LT", b"XX" + bytes(30), HEADER.pack(b"LT", 2, 3, 0, 1, 0, 0.0),
    pack(Kind.DATA, bytes(23), count=1, session=SESSION),
    pack(Kind.DATA, b"", count=0xFFFFFFFF, session=SESSION),
    pack(Kind.DATA, bytes(24 * (MAX_RECORDS + 1)), count=MAX_RECORDS + 1, session=SESSION),
    pack(Kind.HIST, bytes(3), count=0, session=SESSION), pack(Kind.REPLAY, b"1", session=SESSION),
    pack(Kind.HELLO, b"\xff", session=8), pack(Kind.HELLO, b"[]", session=8),
    pack_json(Kind.HELLO, {**HELLO, "role": "monitor"}, session=8),
    pack_json(Kind.HELLO, HELLO, session=0),
    pack(Kind.DEFS, b"[" * 100_000, session=SESSION), b"{", b"{}x", b'{"a":' * 10_000,
    pack(Kind.DATA, RECORD.pack(0, 0, 0, 1.0), count=1, session=SESSION, t0=math.nan),
    pack(Kind.DATA, RECORD.pack(0, 0, 0, 1.0), count=1, session=SESSION, t0=1e300),
])  # fmt: skip
def test_what_is_not_of_the_protocol_is_counted_and_left(frame: bytes) -> None:
    wire = Wire()
    wire.take()
    wire.say(frame)
    assert wire.intake.bad == 1
    assert wire.take() == Batch()


@pytest.mark.parametrize("kind", [0, 12, 200, 255])
def test_unknown_kinds_are_ignored(kind: int) -> None:
    wire = Wire()
    wire.say(pack(kind, b"whatever", session=SESSION))
    assert wire.intake.bad == 0


@pytest.mark.parametrize("depth", [1, 150, 400, 900, 2000])
def test_names_that_are_deep_lists_raise_nothing(depth: int) -> None:
    wire = Wire()
    deep = b"[" * depth + b"]" * depth
    for key in (b"run", b"step", b"tags", b"loss"):
        wire.say(b'{"' + key + b'":' + deep + b"}")
    for key in (b"name", b"role", b"tags", b"phase"):
        wire.say(pack(Kind.HELLO, b'{"' + key + b'":' + deep + b"}", session=9))
    for key in (b"reason", b"text"):
        wire.say(pack(Kind.BYE, b'{"' + key + b'":' + deep + b"}", session=SESSION))
    wire.say(pack(Kind.EVENT, b'{"text":' + deep + b',"level":' + deep + b"}", session=SESSION))


def test_buckets_that_cannot_be_are_left_out_and_counted_as_bad() -> None:
    wire = Wire(first_seq=1)
    good = BUCKET.pack(0, 2, 1.0, 2.0, 0, 1, 3.0, 1.0, 2.0, 2.0, 0.0)
    empty = BUCKET.pack(0, 0, 1.0, 2.0, 0, 1, 3.0, 1.0, 2.0, 2.0, 0.0)
    timeless = BUCKET.pack(0, 2, math.nan, 2.0, 0, 1, 3.0, 1.0, 2.0, 2.0, 0.0)
    backwards = BUCKET.pack(0, 2, 2.0, 1.0, 0, 1, 3.0, 1.0, 2.0, 2.0, 0.0)
    rows = good + empty + timeless + backwards
    wire.say(pack(Kind.BUCKETS, rows, count=4, session=SESSION))
    wire.data(1)
    buckets = wire.take().buckets
    assert buckets is not None
    assert buckets["n"].tolist() == [2]
    assert wire.intake.bad == 3


def test_names_that_were_logged_as_bytes_are_text() -> None:
    assert [clean_name(name) for name in (b"loss", "verlust_ü".encode(), b"\x1b[1m\xff", b"")] == [
        "loss", "verlust_ü", "[1m\ufffd", "unnamed"
    ]


def test_json_samples_make_a_run_a_name() -> None:
    wire = Wire()
    for step in range(3):
        values = {"loss": step / 2, "a": {"b": 1}, "text": "no", "t": True}
        sample = {"run": "c", "step": step, **values}
        wire.say(json.dumps(sample).encode(), b"client")
    wire.say(b'{"run": "c", "loss": NaN}', b"client")
    batch = wire.take()
    names = {info.key: info.name for info in batch.series}
    assert [info.name for info in batch.runs] == ["r", "c"]
    assert batch.samples is not None
    columns = batch.samples.series, batch.samples.step, batch.samples.value
    points = [(names[int(s)], int(k), float(v)) for s, k, v in zip(*columns, strict=True)]
    expected = [(name, step, value) for step in range(3)
                for name, value in (("loss", step / 2), ("a/b", 1.0))]  # fmt: skip
    assert points[:-1] == expected
    assert points[-1][:2] == ("loss", -1)
    assert math.isnan(points[-1][2])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["send", "drop", "double", "swap", "late"]),
                          st.floats(0, 1.5)), max_size=60))  # fmt: skip
def test_whatever_happens_each_message_is_taken_once_in_order_or_counted(
    happenings: list[tuple[str, float]],
) -> None:
    """A model of a network that drops, doubles, delays, and of a publisher that replays."""
    sequence, now, sent = Sequence(0), 0.0, 0
    taken: list[int] = []
    lost = 0
    queue: list[int] = []

    def judge(seq: int) -> int | None:
        nonlocal lost
        verdict = sequence.judge(seq, now)
        lost += verdict.lost
        if verdict.take:
            taken.append(seq)
        return sequence.expected if verdict.ask else None

    for what, pause in happenings:
        now += pause
        asked = None
        if what == "drop":
            pass
        elif what == "late":
            queue.append(sent)
        else:
            queue += [sent, *([sent] if what == "double" else [])]
            if what == "swap":
                queue.reverse()
            while queue:
                asked = judge(queue.pop(0)) if asked is None else (judge(queue.pop(0)), asked)[1]
        sent += 1
        if asked is not None:
            for seq in range(asked, sent):
                judge(seq)
    verdict = sequence.behind(sent, now)
    lost += verdict.lost
    if verdict.ask:
        for seq in range(sequence.expected or 0, sent):
            judge(seq)
    else:
        now += 10
        lost += sequence.behind(sent, now).lost
        now += 10
        lost += sequence.behind(sent, now).lost
    assert all(a < b for a, b in pairwise(taken))
    assert len(taken) + lost == sent


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 12), st.integers(0, 3), st.integers(0, 1 << 63))
def test_no_frame_raises(body: bytes, kind: int, count: int, seq: int) -> None:
    wire = Wire()
    for data in (body, b"{" + body, pack(kind, body, count=count, session=SESSION, seq=seq)):
        wire.say(data)
    wire.wait(9)
    wire.intake.tick()
    wire.take()


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=4), max_leaves=12,
)  # fmt: skip
KEYS = [*HELLO, "t", "level", "text", "count", "next_seq", "reason", "tags", "run", "step", "time"]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=8),
       st.lists(json_values, max_size=5))  # fmt: skip
def test_no_json_raises(fields: dict[str, object], entries: list[object]) -> None:
    wire = Wire()
    wire.say(json.dumps(fields).encode())
    for kind in (Kind.HELLO, Kind.EVENT, Kind.BYE):
        for session in (SESSION, 9):
            wire.say(pack_json(kind, fields, session=session))
    wire.say(pack_json(Kind.DEFS, entries, session=SESSION))
    wire.say(pack_json(Kind.DEFS, [[1, "n", fields], [entries, entries]], session=SESSION))
    wire.take()


@given(st.binary(max_size=80))
def test_unpack_gives_a_frame_or_a_wire_error(data: bytes) -> None:
    try:
        frame = unpack(data)
    except WireError:
        return
    header = data[: HEADER.size]
    assert (frame.kind, frame.count, frame.session, frame.seq) == HEADER.unpack(header)[2:6]
    assert bytes(frame.payload) == data[HEADER.size :]


@given(st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 32) - 1),
                          st.integers(-1, (1 << 62)), st.floats()), max_size=20))  # fmt: skip
def test_records_come_through_as_they_were(rows: list[tuple[int, int, int, float]]) -> None:
    payload = b"".join(RECORD.pack(*row) for row in rows)
    frame = unpack(pack(Kind.DATA, payload, count=len(rows), session=1, seq=2, t0=3.0))
    dtype = np.dtype([("sid", "<u4"), ("dt", "<u4"), ("step", "<i8"), ("value", "<f8")])
    got = np.frombuffer(frame.payload, dtype)
    assert got.tobytes() == b"".join(struct.pack("<IIqd", *row) for row in rows)


def test_a_clock_that_is_off_is_told_once_by_the_quickest_of_its_beats() -> None:
    wire = Wire()
    now = wire.intake.now

    def beat(ahead: float) -> tuple[tuple[str, float], ...]:
        wire.say(pack(Kind.PONG, session=SESSION, seq=0, t0=now + ahead))
        return wire.take().clocks

    key = f"{SESSION:016x}"
    assert beat(-30.5) == ((key, -30.5),)
    assert beat(-30.0) == ((key, -30.0),)
    assert beat(-34.0) == ()
    assert beat(-30.05) == ()
    wire.say(pack(Kind.PONG, session=SESSION, seq=0))
    wire.say(pack(Kind.PONG, session=SESSION, seq=0, t0=math.nan))
    wire.say(pack(Kind.PONG, session=SESSION, seq=0, t0=math.inf))
    assert wire.take().clocks == ()
    for _ in range(8):
        told = beat(5.0)
    assert told == ()
    assert beat(-1.0) == ()
