"""`llmtop formats`: every format there is, with the tool that writes it and an example."""

from __future__ import annotations

from llmtop.cli.say import say
from llmtop.formats.table import load_table


def run_formats() -> int:
    """Print the table of formats and return 0."""
    table = load_table()
    width = max(len(known.name) for known in table.all)
    for known in table.all:
        first, *more = known.example.splitlines()
        print(f"{known.name:<{width}}  {known.title}")  # noqa: T201
        for line in (first, *more):
            print(f"{'':<{width}}  {line.strip()}")  # noqa: T201
    for problem in table.problems:
        say(problem)
    return 0
