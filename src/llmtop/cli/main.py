"""The entry point: parse, choose, say errors in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from llmtop.cli.options import memory_bytes, parser
from llmtop.errors import LlmtopError, UsageError

EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 good, 1 crashed, 2 bad use."""
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except LlmtopError as error:
        print(f"llmtop: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_USAGE
    except BrokenPipeError:
        # Python writes what is left at exit, and would end with 120 for it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _run(argv: list[str]) -> int:
    from llmtop import __version__

    options = parser(__version__).parse_args(argv)
    options.memory_bytes = memory_bytes(options.memory)
    if options.fps is not None and not 0.1 <= options.fps <= 30:
        raise UsageError("--fps: between 0.1 and 30 updates a second")
    if options.wait < 0:
        raise UsageError("--wait: seconds cannot be negative")
    if not (options.once or options.json or sys.stdout.isatty()):
        print("llmtop: stdout is not a terminal, so this is --once", file=sys.stderr)  # noqa: T201
        options.once = True
    if options.source[:1] == ["demo"]:
        if len(options.source) > 1:
            raise UsageError(f"demo takes no argument, got {options.source[1]!r}")
        from llmtop.cli.demo import run_demo

        return run_demo(options)
    if options.once or options.json:
        from llmtop.cli.snapshot import run_snapshot

        return run_snapshot(options)
    from llmtop.cli.watch import run_watch

    return run_watch(options)
