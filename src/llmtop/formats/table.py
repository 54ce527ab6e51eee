"""The table of formats, in the order in which a line is offered to them.

The modules are imported when the table is first used, so that a start without log files pays
nothing for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module

from llmtop.errors import UsageError, nearest
from llmtop.formats.base import FileFormat, LineFormat

MODULES = (
    "huggingface", "trainer_state", "llamafactory", "tfevents", "wandb", "wandb_summary", "trackio",
    "megatron", "golden", "nemo", "deepspeed", "torchtitan", "torchtune", "litgpt", "nanogpt",
    "buildnanogpt", "llmc", "modded", "nanochat", "olmo", "composer", "levanter", "maxtext",
    "fairseq", "mlx", "verl", "openrlhf", "vllm", "sglang", "llamacpp", "lmeval",
    "benchmarks", "aiperf", "guidellm", "csvfile", "jsonl", "keyvalue",
)  # fmt: skip
"""Modules of this package, each with its FORMATS; generic ones last."""

Format = LineFormat | FileFormat


@lru_cache(maxsize=1)
def builtin() -> tuple[Format, ...]:
    """Return every format that comes with llmtop, in order."""
    found: list[Format] = []
    for module in MODULES:
        found.extend(import_module(f"llmtop.formats.{module}").FORMATS)
    return tuple(found)


class Table:
    """The formats that one source chooses from: the user's own first, then llmtop's."""

    def __init__(
        self, own: Iterable[Format] = (), only: str = "", problems: Iterable[str] = ()
    ) -> None:
        """Take the user's formats, and the name of the only one to use, if there is one.

        Raises:
            UsageError: no format is called `only`.
        """
        own = tuple(own)
        self.problems = tuple(problems)
        """What could not be loaded, a line each."""
        everything = (*own, *builtin())
        if only:
            everything = tuple(known for known in everything if known.name == only)
            if not everything:
                names = [known.name for known in (*own, *builtin())]
                raise UsageError(
                    f"--format: no format {only!r}{nearest(only, names)}; "
                    "llmtop formats lists them"
                )
        self.only = only
        self.all: Sequence[Format] = everything
        self.lines = tuple(known for known in everything if isinstance(known, LineFormat))
        self.files = tuple(known for known in everything if isinstance(known, FileFormat))


def load_table(only: str = "") -> Table:
    """Return llmtop's formats, those of the config file and those of plugins.

    Raises:
        ConfigError: the config file cannot be used.
        UsageError: no format is called `only`.
    """
    from llmtop.config import read_config
    from llmtop.formats.custom import from_pattern, from_plugins, unique

    typed = [from_pattern(config) for config in read_config().formats]
    added, problems = from_plugins()
    own, twice = unique([*typed, *added], (known.name for known in builtin()))
    return Table(own, only, [*problems, *twice])
