"""Which files a command line means: folders and globs are looked through, again and again."""

from __future__ import annotations

import glob
import os
import re
import stat
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from llmtop.errors import UsageError, nearest
from llmtop.formats.base import SNIFF_BYTES, FileFormat, Points
from llmtop.formats.clean import clean
from llmtop.formats.detect import Chooser
from llmtop.formats.table import Table
from llmtop.sources.naming import CHECKPOINT

MAX_DEPTH = 8
"""Folders within folders: output_dir/runs/name/version/checkpoints/... takes five."""
MAX_LOOKED_AT = 20_000
"""Files of one folder tree looked at: a day's work for a large sweep."""
MAX_FILES = 1000
"""Files followed by one source."""
SKIPPED_FOLDERS = frozenset((
    ".git", ".hg", ".svn", ".venv", "venv", "env", "node_modules", "__pycache__",
    "site-packages", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints",
    ".cache", ".tox",
))  # fmt: skip
"""Folders that hold programs, not runs."""
SKIPPED_SUFFIXES = frozenset((
    ".py", ".pyc", ".ipynb", ".md", ".rst", ".html", ".css", ".js", ".ts", ".c", ".cc", ".cpp",
    ".cu", ".cuh", ".h", ".hpp", ".rs", ".go", ".sh", ".yaml", ".yml", ".toml", ".ini", ".cfg",
    ".lock", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".ggml", ".onnx", ".npy",
    ".npz", ".parquet", ".arrow", ".feather", ".h5", ".hdf5", ".pkl", ".pickle", ".tar", ".gz",
    ".bz2", ".xz", ".zst", ".zip", ".7z", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg",
    ".pdf", ".mp4", ".wav", ".so", ".o", ".a", ".whl", ".model", ".tiktoken",
))  # fmt: skip
"""Endings of files that no run logs to; in folders they are not even opened."""
_GLOBAL_STEP = re.compile(rb'"global_step"\s*:\s*(\d+)')

Kind = Literal["text", "stream", "file"]


@dataclass(frozen=True, slots=True)
class Found:
    """One file to follow."""

    path: Path
    kind: Kind
    format: FileFormat | None = None
    tree: str = ""
    """What all copies of one history in a tree of checkpoints share; "" for a single file."""
    rank: int = -1
    """Which of those copies is the newest: the one with the most steps."""


class Discovery:
    """The files that some paths, folders and globs mean at any time."""

    def __init__(self, wanted: Sequence[str], table: Table) -> None:
        """Take paths as the user wrote them.

        Raises:
            UsageError: one of them is neither there nor a glob.
        """
        self.wanted = tuple(wanted)
        self._named = {Path(text).expanduser() for text in wanted}
        self._table = table
        self._tried: dict[Path, tuple[int, int]] = {}
        """Size and time at which a file of a folder was last seen to hold no metric."""
        self.problems: dict[Path, str] = {}
        self.folders: set[Path] = set()
        self.left_out = 0
        """Files beyond the bounds at the last look."""
        for text in wanted:
            check_path(text)

    def find(self, known: set[Path], stop: threading.Event) -> Iterator[Found]:
        """Yield the files that are not in `known` yet, until `stop` is set."""
        self.left_out = 0
        self.folders.clear()
        for path in [path for path in self.problems if not self.wants(path)]:
            del self.problems[path]
        for text in self.wanted:
            path = Path(text).expanduser()
            try:
                for found in self._of(text, path, known):
                    if found is not None:
                        yield found
                    if stop.is_set():
                        return
            except OSError as error:
                self.problems[path] = (error.strerror or str(error)).lower()

    def wants(self, path: Path) -> bool:
        """Tell whether a file is there, or was named: of others that are gone nothing is said."""
        return os.path.lexists(path) or path in self._named

    def _of(self, text: str, path: Path, known: set[Path]) -> Iterator[Found | None]:
        """Yield what is not `known` of one path, and None in between, where one may stop."""
        if path.is_dir():
            yield from self._folder(path, known)
            return
        if path.exists() or not has_glob(text):
            self.folders.add(path.parent)
            yield self._file(path) if path not in known else None
            return
        for match in self._matches(str(path)):
            if match.is_dir():
                yield from self._folder(match, known)
            else:
                yield self._file(match) if match not in known else None

    def again(self, path: Path) -> Found | None:
        """Return what a text in which nothing was found yet is, now that more is written."""
        try:
            head, _ = _ends(path, 0)
        except OSError:
            return None
        found = self._choose(path, head)
        return found if found is not None and found.kind == "file" else None

    def _matches(self, pattern: str) -> list[Path]:
        magic = re.search(r"[*?\[]", pattern)
        root = pattern[: magic.start()] if magic else pattern
        above = Path(root if root.endswith("/") else os.path.dirname(root) or ".")
        if above.is_dir():
            self.folders.add(above)
        found = glob.iglob(pattern, recursive=True)
        matches = sorted(islice(found, MAX_LOOKED_AT))
        self.left_out += sum(1 for _ in islice(found, MAX_LOOKED_AT))
        return [Path(match) for match in matches]

    def _folder(self, folder: Path, known: set[Path]) -> Iterator[Found | None]:
        looked = 0
        top = len(folder.parts)
        for above, below, files in os.walk(folder, onerror=self._denied):
            here = Path(above)
            self.folders.add(here)
            self.problems.pop(here, None)
            yield None
            deep = len(here.parts) - top >= MAX_DEPTH
            below[:] = [] if deep else sorted(
                name for name in below if name not in SKIPPED_FOLDERS
            )
            for name in sorted(files):
                path = here / name
                if path in known or path.suffix.lower() in SKIPPED_SUFFIXES:
                    continue
                looked += 1
                if looked > MAX_LOOKED_AT:
                    self.left_out += 1
                    continue
                yield self._member(path)

    def _member(self, path: Path) -> Found | None:
        """Return a file of a folder if there are metrics in it."""
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                return None
            mark = status.st_size, status.st_mtime_ns
            if self._tried.get(path) == mark:
                return None
            head, tail = _ends(path, status.st_size)
        except OSError as error:
            self.problems[path] = (error.strerror or str(error)).lower()
            return None
        self.problems.pop(path, None)
        found = self._choose(path, head)
        if found is not None and found.kind == "file":
            return None if _repeats(path) else found
        if found is None or not holds_metrics(head, tail, self._table):
            if len(self._tried) < MAX_LOOKED_AT:
                self._tried[path] = mark
            return None
        return found

    def _file(self, path: Path) -> Found | None:
        """Return a file that was named: followed whatever is in it."""
        try:
            status = path.stat()
            if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode):
                return Found(path, "stream")
            if not stat.S_ISREG(status.st_mode):
                self.problems[path] = "is not a file of text"
                return None
            head, _ = _ends(path, min(status.st_size, SNIFF_BYTES))
        except OSError as error:
            self.problems[path] = (error.strerror or str(error)).lower()
            return None
        if not head:
            # An empty file becomes what is first written to it.
            self.problems[path] = "is empty"
            return None
        found = self._choose(path, head)
        if found is None:
            self.problems[path] = "is of no format that llmtop knows"
            return None
        self.problems.pop(path, None)
        return found

    def _choose(self, path: Path, head: bytes) -> Found | None:
        for known in self._table.files:
            if known.sniff(path, head):
                return Found(path, "file", known, *_tree(path, head))
        return None if b"\0" in head else Found(path, "text")

    def _denied(self, error: OSError) -> None:
        self.problems[Path(error.filename)] = (error.strerror or str(error)).lower()


def check_path(text: str) -> None:
    """Raise UsageError, with the nearest name there is, for a path that leads nowhere."""
    path = Path(text).expanduser()
    if has_glob(text) or os.path.lexists(path):
        return
    above = path.parent
    try:
        if not above.is_dir():
            raise UsageError(f"no such folder: {str(above)!r}")
        there = sorted(one.name for one in islice(above.iterdir(), MAX_LOOKED_AT))
    except OSError as error:
        raise UsageError(f"{above}: {(error.strerror or str(error)).lower()}") from None
    raise UsageError(f"no such file: {text!r}{nearest(path.name, there)}")


def has_glob(text: str) -> bool:
    """Tell whether a path is a pattern."""
    return any(mark in text for mark in "*?[")


def holds_metrics(head: bytes, tail: bytes, table: Table) -> bool:
    """Tell whether some format finds a point in the beginning or the end of a text."""
    for part in (head, tail):
        chooser = Chooser(table.lines, forced=bool(table.only))
        for text in (chooser.read(clean(part)), chooser.end()):
            if any(type(item) is Points for _, item in text.items):
                return True
    return False


def _ends(path: Path, size: int) -> tuple[bytes, bytes]:
    """Return the first and, where it is another, the last SNIFF_BYTES of a file."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        head = os.pread(fd, SNIFF_BYTES, 0)
        tail = b""
        if size > SNIFF_BYTES:
            tail = os.pread(fd, SNIFF_BYTES, size - SNIFF_BYTES)
            tail = tail[tail.find(b"\n") + 1 :]
        return head, tail
    finally:
        os.close(fd)


def _tree(path: Path, head: bytes) -> tuple[str, int]:
    """Return what a checkpoint's file shares with its siblings, and how new it is among them."""
    step = _GLOBAL_STEP.search(head)
    inside = CHECKPOINT.fullmatch(path.parent.name)
    if step is None and inside is None:
        return "", -1
    run = path.parent.parent if inside else path.parent
    number = int(step.group(1)) if step else int(inside.group(1)) if inside else -1
    return f"{run}/{path.name}", number


def _repeats(path: Path) -> bool:
    """Tell whether a wandb summary lies beside the full record of its run."""
    return path.name == "wandb-summary.json" and any(path.parent.parent.glob("*.wandb"))
