"""The table holds every format, and each knows its own example and no other's."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from reading import items_of

import llmtop.formats
from llmtop.errors import UsageError
from llmtop.formats.base import LineFormat, Points
from llmtop.formats.table import MODULES, Table, builtin

LINES = [known for known in builtin() if isinstance(known, LineFormat)]
SHARED = {("huggingface", "openrlhf")}
"""(reader, example): OpenRLHF prints the Trainer's dict after words of its own."""


def found(reader: LineFormat, example: LineFormat) -> int:
    items = items_of(reader, example.example + "\n")
    return sum(isinstance(item, Points) for item in items)


def test_every_module_with_formats_is_in_it() -> None:
    folder = Path(llmtop.formats.__file__).parent
    with_formats = {
        path.stem for path in folder.glob("*.py")
        if hasattr(import_module(f"llmtop.formats.{path.stem}"), "FORMATS")
    }
    assert with_formats == set(MODULES)


def test_names_are_unique() -> None:
    names = [known.name for known in builtin()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("known", LINES, ids=lambda known: known.name)
def test_a_format_reads_its_example(known: LineFormat) -> None:
    assert found(known, known) > 0


def test_no_format_claims_anothers_example() -> None:
    claimed = {
        (reader.name, example.name) for reader in LINES for example in LINES
        if reader is not example and not reader.generic and found(reader, example)
    }
    assert claimed == SHARED


def test_a_format_that_is_not_there_is_said_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no format 'nanogtp', did you mean 'nanogpt'"):
        Table(only="nanogtp")


def test_a_start_without_logs_imports_no_format() -> None:
    code = ("import sys, llmtop.cli.main, llmtop.cli.watch, llmtop.sources\n"
            "print([m for m in sys.modules if m.startswith('llmtop.formats.')])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True, timeout=30)
    assert done.stdout.strip() == "[]"
