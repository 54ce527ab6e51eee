"""The wire protocol, version 1: frames <-> bytes, for both ends. Standard library only.

Sockets. A publisher is a ZeroMQ DEALER that connects; a hub (inside `llmtop`) is a ROUTER that
binds. Every message is one frame, little-endian. One ordered session carries everything: HELLO,
DEFS, history, live.

    offset 0  u8[2] 'L','T'   2 u8 version = 1   3 u8 kind   4 u32 count
           8  u64 session    16 u64 seq         24 f64 t0 (unix seconds)          = 32 bytes

    kind 1 HELLO    JSON object {role: publisher|relay|monitor, name, host, pid, rank?,
                    world_size?, phase?: train|eval|serve, started, first_seq, total_steps?,
                    tags?, stoppable?: true}; first after each (re)connect
         2 DEFS     JSON list [[sid, name, {unit?, kind?: gauge|counter|distribution,
                    better?: up|down, bucketed?, first?, last?}], ...]; before a sid's first
                    use, again on reconnect; bucketed: true is a distribution that has COUNTS only
         3 DATA     count x {u32 sid; u32 dt_us from t0; i64 step (-1 = none); f64 value}
         4 BYE      JSON {reason: finished|failed, text, t?}; a PING follows it, whose PONG says
                    that all of the session has arrived
         5 PING     header only; answered by PONG. session 0 asks "who are you?"
         6 REPLAY   hub -> publisher: u64 from_seq
         7 BUCKETS  count x {u32 sid; u32 n; f64 t_first, t_last; i64 step_first, step_last;
                    f64 sum; f32 min, max, last, pad}; history that left the replay ring
         8 EVENT    JSON {t, level, text, step?}
         9 HIST     log-linear histogram increments: u32 sid, then count x (u16 bin, u32 count)
        10 PONG     header only; seq = that of the next DATA, t0 = the time there (0: not told)
        11 COUNTS   u32 sid; f64 start, stop, sum; then count x {f64 bound; u64 n}: observations a
                    server counted by buckets of its own between two looks at it; the bounds are
                    upper ones, ascending, the last one infinity
        12 CONTROL  hub -> publisher: JSON {action: "stop", reason} or {action: "alert", alert:
                    {...}}; heeded only where HELLO said stoppable, or for alerts where the run
                    listens, and only over ipc or a connection whose keys both ends checked

A frame that starts with `{` is one JSON sample: {"run": "x", "step": 3, "time": optional,
"loss": 0.5, ...}. Unknown kinds and keys are ignored. A record layout is frozen: a new layout
gets a new kind; a changed header is version + 1, which the receiver answers with "upgrade".

Order and loss. `seq` of DATA counts the DATA frames of a session, from 0. HELLO says in first_seq
which comes first; BUCKETS and HIST hold everything before it. A hub that sees a gap asks REPLAY
from the seq it expects (again after a second, not at once) and drops what is below or beyond that
until it comes: the publisher goes back and sends everything from there on, in order. When that has
left its ring it first sends EVENT {level: "dropped", count: samples lost, next_seq, ...}, and the
hub then expects next_seq. `seq` of other EVENTs counts the events of the session, from 1: one that
was seen already is ignored. Values of one BUCKETS record are all finite or all not (then min, max
and last are NaN or infinite and sum is 0); a distribution's history comes as BUCKETS and as HIST.
What BUCKETS round, DEFS tells as it was: `first` and `last` of a series that has them are the first
and last point in them, [time, step, value], a value JSON has no word for as "NaN", "Infinity" or
"-Infinity". A hub that got the points themselves ignores it.

Liveness. A publisher that has been silent for 2 s sends an unasked PONG, whose seq betrays a gap
at the end. A hub that gets a frame of a session it does not know, after a reconnect or its own
restart, answers with a PING of session 0 (once a second at most); the publisher begins again:
HELLO, DEFS, history, live. A known session that comes back under another ZeroMQ identity goes on
where it was. A value in DATA of a counter is an increment, of a distribution an observation; both
have no step. What a publisher could not queue is counted in the counter DROPPED_NAME.

Relays. A viewer is a DEALER that connects to a relay's ROUTER as publishers do and says HELLO
{role: "monitor", host, pid, have: {session in hex: the seq expected next}} in session 1. From then
on the relay publishes to it: of each session HELLO {role: "relay", ...}, DEFS, EVENT, BUCKETS, HIST
and DATA, under the session and seq they came with, or its own for what came as JSON or from
files; REPLAY, PING and PONG go as between hub and publisher. A session in `have` goes on from that
seq. Its BYE may have reason "died", and `t`, when it ended: a viewer infers no death itself. Frames
of session 0 are of the relay itself: PING asks for HELLO, as any hub's; EVENT {level: "caught_up"}
ends what was there before; EVENT {level: "lag", seconds, count} says that a slow viewer gets DATA
thinned, count samples left out (each such DATA has the seq of the last it stands for, after an
EVENT "dropped"). A viewer sends PING of session 0 each second; the PONG has its seq, and in t0 the
relay's time. HELLO with own: true is a session of the relay's own making: a viewer forgets those
when EVENT {level: "relay", instance}, the first thing it is sent, names another life of the relay.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from math import isfinite
from typing import Any, NamedTuple

from llmtop.errors import WireError

MAGIC = b"LT"
VERSION = 1
HEADER = struct.Struct("<2sBBIQQd")
RECORD = struct.Struct("<IIqd")
BUCKET = struct.Struct("<IIddqqdffff")
BIN = struct.Struct("<HI")
SID = struct.Struct("<I")
COUNTS = struct.Struct("<Iddd")
COUNT = struct.Struct("<dQ")
FROM_SEQ = struct.Struct("<Q")

MAX_RECORDS = 8192
"""Records a message may hold: 8192 x 24 bytes keeps a frame under 200 kB (HWM counts messages)."""
MAX_FRAME_BYTES = 1 << 20
"""MAXMSGSIZE: five times the largest DATA frame, the size of a DEFS frame of 4096 long names."""
MAX_SIDS = 4096
"""Series one publisher may define; the rest fold into its overflow series."""
MAX_BOUNDS = 1024
"""Buckets of a COUNTS frame: servers have a few dozen."""
MAX_NAME_BYTES = 200
"""Bytes of a printable name."""
OVERFLOW_NAME = "llmtop/overflow"
"""The series that counts samples of names beyond MAX_SIDS."""
DROPPED_NAME = "llmtop/dropped"
"""The counter of samples that a publisher had to drop."""
NO_STEP = -1
HIST_SHIFT = 17
"""float32 bits >> 17 keeps sign, exponent and 6 bits of mantissa: 64 bins an octave."""
JSON_START = 0x7B


class Kind(IntEnum):
    """What a frame carries."""

    HELLO = 1
    DEFS = 2
    DATA = 3
    BYE = 4
    PING = 5
    REPLAY = 6
    BUCKETS = 7
    EVENT = 8
    HIST = 9
    PONG = 10
    COUNTS = 11
    CONTROL = 12


_HEADER_BYTES = HEADER.size
_RECORD_BYTES = {Kind.DATA: RECORD.size, Kind.BUCKETS: BUCKET.size}


class Frame(NamedTuple):
    """A validated frame: header fields and the untouched payload."""

    kind: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which a frame has no use for
    session: int
    seq: int
    t0: float
    payload: memoryview


_new_frame = tuple.__new__


def pack(
    kind: int, payload: bytes = b"", *, count: int = 0, session: int = 0, seq: int = 0,
    t0: float = 0.0,
) -> bytes:
    """Return one frame: the 32-byte header, then `payload` as it is."""
    return HEADER.pack(MAGIC, VERSION, kind, count, session, seq, t0) + payload


def pack_json(kind: int, value: Any, *, session: int, seq: int = 0) -> bytes:
    """Return a frame whose payload is `value` as compact JSON."""
    return pack(kind, json.dumps(value, separators=(",", ":")).encode(), session=session, seq=seq)


def unpack(data: bytes | memoryview) -> Frame:
    """Validate magic, version and length, before anything else is looked at.

    Raises:
        WireError: the frame is short, foreign, of another version, or its count does not fit.
    """
    body = len(data) - _HEADER_BYTES
    if body < 0:
        raise WireError(f"frame of {len(data)} bytes is shorter than the {HEADER.size}-byte header")
    magic, version, kind, count, session, seq, t0 = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise WireError(f"frame starts with {bytes(magic)!r}, not {MAGIC!r}")
    if version != VERSION:
        raise WireError(f"frame is of protocol version {version}, this is {VERSION}: upgrade")
    record = _RECORD_BYTES.get(kind)
    if record is not None:
        if count > MAX_RECORDS or record * count != body:
            raise WireError(
                f"kind {kind} says {count} records of {record} bytes but carries {body}"
            )
    elif kind == Kind.HIST and (count > 1 << 16 or SID.size + BIN.size * count != body):
        raise WireError(f"HIST says {count} bins but carries {body} bytes")
    elif kind == Kind.COUNTS and (
        count > MAX_BOUNDS or COUNTS.size + COUNT.size * count != body
    ):
        raise WireError(f"COUNTS says {count} buckets but carries {body} bytes")
    elif kind == Kind.REPLAY and body != FROM_SEQ.size:
        raise WireError(f"REPLAY carries {body} bytes, not {FROM_SEQ.size}")
    payload = memoryview(data)[_HEADER_BYTES:]
    # Frame(...) would go through a function of Python's: a tenth of what a message costs a hub.
    return _new_frame(Frame, (kind, count, session, seq, t0, payload))


def read_json(frame: Frame, expect: type[Any]) -> Any:
    """Return the frame's JSON payload, checked to be an `expect` (dict or list).

    Raises:
        WireError: the payload is not JSON or of another type.
    """
    try:
        value = json.loads(bytes(frame.payload))
    except (ValueError, RecursionError) as error:
        raise WireError(f"kind {frame.kind} carries bad JSON: {error}") from None
    if not isinstance(value, expect):
        raise WireError(f"kind {frame.kind} carries {type(value).__name__}, not {expect.__name__}")
    return value


def json_number(value: float) -> float | str:
    """Return `value`, or the word for it where JSON has no number."""
    if isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def clean_name(name: object) -> str:
    """Return `name` as printable text of at most MAX_NAME_BYTES, safe to show in a terminal."""
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    # Of an Enum that is a str too, the text is wanted and not the member's name.
    text = str.__str__(name) if isinstance(name, str) else str(name)
    if not (text.isascii() and text.isprintable()):
        text = "".join(c for c in text if c.isprintable())
    if len(text) > MAX_NAME_BYTES or not text.isascii():
        raw = text.encode("utf-8", "ignore")[:MAX_NAME_BYTES]
        text = raw.decode("utf-8", "ignore")
    return text or "unnamed"


def hist_bin(value: float) -> int:
    """Return the log-linear bin of `value`: the top 15 bits of its float32 pattern."""
    try:
        bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    except OverflowError:
        bits = 0xFF800000 if value < 0 else 0x7F800000
    return bits >> HIST_SHIFT
