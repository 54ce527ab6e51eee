"""A publisher's side of an intake, without sockets."""

from __future__ import annotations

from llmtop.clock import ManualClock
from llmtop.samples import Batch
from llmtop.sources.intake import Intake
from llmtop.wire import FROM_SEQ, RECORD, Kind, pack, pack_json, unpack

SESSION = 7
HELLO = {"role": "publisher", "name": "r", "host": "elsewhere", "pid": 1, "first_seq": 0}


class Wire:
    def __init__(self, **hello: object) -> None:
        self.clock = ManualClock()
        self.intake = Intake(self.clock)
        self.say(pack_json(Kind.HELLO, {**HELLO, **hello}, session=SESSION))
        self.define((0, "a"))
        self.intake.answers.clear()

    def say(self, data: bytes, identity: bytes = b"one") -> None:
        self.intake.frame(identity, data)

    def define(self, *names: tuple[int, str]) -> None:
        entries = [[sid, name, {}] for sid, name in names]
        self.say(pack_json(Kind.DEFS, entries, session=SESSION))

    def data(self, seq: int, *values: float, sid: int = 0, t0: float = 100.0) -> None:
        records = b"".join(RECORD.pack(sid, 0, seq, value) for value in values or (float(seq),))
        count = len(records) // RECORD.size
        self.say(pack(Kind.DATA, records, count=count, session=SESSION, seq=seq, t0=t0))

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.intake.look_at_clock()

    def take(self) -> Batch:
        return self.intake.take() or Batch()

    def values(self) -> list[float]:
        samples = self.take().samples
        return [] if samples is None else samples.value.tolist()

    def replays(self) -> list[int]:
        frames = [unpack(data) for _, data in self.intake.answers]
        self.intake.answers.clear()
        return [FROM_SEQ.unpack(f.payload)[0] for f in frames if f.kind == Kind.REPLAY]
