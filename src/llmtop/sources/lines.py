"""Bytes as they come -> whole lines: the unfinished end of a log waits for its rest."""

from __future__ import annotations

MAX_LINE_BYTES = 1 << 18
"""A line beyond it is left out: 17 times the longest real one seen (15 kB)."""
BLOCK_BYTES = 4096
"""Programs write to files and pipes in multiples of this when they do not write line by line."""


class Lines:
    """The line ends of one log."""

    def __init__(self) -> None:
        self.too_long = 0
        """Lines left out since `take_too_long`."""
        self._rest = bytearray()
        self._skipping = False
        """Inside a line that is left out."""
        self._after_return = False
        """The rest follows a bare carriage return."""

    def feed(self, data: bytes) -> bytes:
        """Return the whole lines that `data` completes, with their ends."""
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if self._skipping:
            begin = _first_end(data)
            if not begin:
                return b""
            self._skipping = False
            data, end = data[begin:], max(end - begin, 0)
        if not end:
            self._rest += data
            self._bound()
            return b""
        whole = bytes(self._rest) + data[:end] if self._rest else data[:end]
        self._after_return = whole.endswith(b"\r")
        self._rest = bytearray(data[end:])
        self._bound()
        return self._without_long(whole)

    def flush(self) -> bytes:
        """Return the unfinished line as if it were whole: nothing more will come."""
        whole, self._rest = bytes(self._rest), bytearray()
        return whole

    @property
    def waiting(self) -> bool:
        """Whether there is an unfinished line."""
        return bool(self._rest)

    @property
    def overwritten(self) -> bool:
        """Whether it follows a bare carriage return, so that its end comes with the next one."""
        return self._after_return

    def take_too_long(self) -> int:
        """Return how many lines were left out since the last call."""
        count, self.too_long = self.too_long, 0
        return count

    def _bound(self) -> None:
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest.clear()
            self._skipping = True
            self.too_long += 1

    def _without_long(self, whole: bytes) -> bytes:
        """Return the lines less those that are too long, which one buffer of many may hold."""
        if len(whole) <= MAX_LINE_BYTES:
            return whole
        kept, begin = [], 0
        at = 0
        while at + MAX_LINE_BYTES < len(whole):
            # Some line ends within the next MAX_LINE_BYTES, or the one that begins there is long.
            end = _last_end(whole, at, at + MAX_LINE_BYTES)
            if end:
                at = end
                continue
            kept.append(whole[begin:at])
            self.too_long += 1
            after = _first_end(whole, at)
            begin = at = after or len(whole)
        kept.append(whole[begin:])
        return b"".join(kept)


def _first_end(data: bytes, start: int = 0) -> int:
    """Return the place after the first line end, 0 if there is none."""
    ends = [at for at in (data.find(b"\n", start), data.find(b"\r", start)) if at >= 0]
    return min(ends) + 1 if ends else 0


def _last_end(data: bytes, start: int, stop: int) -> int:
    """Return the place after the last line end in a stretch, 0 if there is none."""
    return max(data.rfind(b"\n", start, stop), data.rfind(b"\r", start, stop)) + 1
