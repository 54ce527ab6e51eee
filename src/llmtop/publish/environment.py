"""What the process can say about itself: name, rank, how it is ending."""

from __future__ import annotations

import os
import sys

RANK_VARIABLES = (
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
)
"""Who launched it, most specific first: torchrun, srun, Open MPI, MPICH."""
UNNAMED = "run"


def rank_and_world_size() -> tuple[int | None, int | None]:
    """Return what the launcher says of this process's rank and of how many there are."""
    for rank_name, size_name in RANK_VARIABLES:
        rank, size = _integer(rank_name), _integer(size_name)
        if rank is not None and size is not None and rank < size:
            return rank, size
    return None, None


def local_rank() -> int | None:
    """Return the rank on this machine, None when not launched by torchrun."""
    return _integer("LOCAL_RANK")


def _integer(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def default_name() -> str:
    """Return the stem of the script, or of its package for `python -m package`."""
    script = sys.argv[0] if sys.argv and isinstance(sys.argv[0], str) else ""
    stem = os.path.splitext(os.path.basename(script))[0]
    if stem == "__main__":
        stem = os.path.basename(os.path.dirname(os.path.abspath(script)))
    return stem if stem and not stem.startswith("-") else UNNAMED


def is_off() -> bool:
    """Return whether LLMTOP_OFF asks for silence."""
    return os.environ.get("LLMTOP_OFF", "") not in ("", "0")


def has_descriptors() -> bool:
    """Return whether a file can be opened."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return False
    return True


def describe_exception(error: BaseException) -> str:
    """Return "ValueError: text" in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # Its __str__ is the user's.
        text = ""
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def is_good_exit(error: BaseException) -> bool:
    """Return whether `error` is sys.exit() without a complaint, or a generator being closed."""
    left = isinstance(error, SystemExit) and error.code in (None, 0)
    return left or isinstance(error, GeneratorExit)


def last_exception() -> BaseException | None:
    """Return the exception that ended the program, as the interpreter noted it.

    Python sets sys.last_value before it prints an uncaught exception, so that no excepthook of
    the user's has to be touched. At a prompt it only tells of the last mistake typed. A worker of
    multiprocessing ends while its exception is on the way up.
    """
    passing = sys.exc_info()[1]
    if passing is not None:
        return passing
    if hasattr(sys, "ps1"):
        return None
    error = getattr(sys, "last_value", None)
    return error if isinstance(error, BaseException) else None
