"""The entry point: parse, choose, say errors in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from llmtop.cli.options import memory_bytes, parser
from llmtop.cli.say import say
from llmtop.errors import LlmtopError, UsageError

EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 good, 1 crashed, 2 bad use."""
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except LlmtopError as error:
        say(str(error))
        return EXIT_USAGE
    except BrokenPipeError:
        # Python writes what is left at exit, and would end with 120 for it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _run(argv: list[str]) -> int:
    from llmtop import __version__

    # What follows "--" is a command's own, options included.
    named, mark, command = _split(argv)
    options = parser(__version__).parse_intermixed_args(named)
    options.command, options.sources = command, None
    options.memory_bytes = memory_bytes(options.memory)
    if options.fps is not None and not 0.1 <= options.fps <= 30:
        raise UsageError("--fps: between 0.1 and 30 updates a second")
    if options.poll is not None and not 0.05 <= options.poll <= 3600:
        raise UsageError("--poll: between 0.05 and 3600 seconds")
    if not options.wait >= 0:
        raise UsageError("--wait: seconds cannot be negative")
    from llmtop.cli.deliver import sinks
    from llmtop.cli.rules import read_rules

    # Before the screen: a wrong rule or sink is said where it was typed.
    options.ruleset = read_rules(options)
    options.sinks = sinks(options)
    word, *rest = options.source or [""]
    if word == "check":
        from llmtop.cli.check import run_check

        return run_check(rest, options)
    if options.lasting:
        raise UsageError("--for is for llmtop check")
    if word == "alerts":
        from llmtop.cli.alerts import run_alerts

        return run_alerts(rest, options)
    if word == "formats" and not rest:
        from llmtop.cli.formats import run_formats

        return run_formats()
    if word == "check-format":
        from llmtop.cli.check_format import run_check_format

        return run_check_format(rest, options.format)
    if word == "keys":
        from llmtop.cli.keys import run_keys

        return run_keys(rest)
    if word == "serve":
        from llmtop.cli.serve import run_serve

        return run_serve(options)
    if options.listen or options.prometheus:
        raise UsageError(f"{'--listen' if options.listen else '--prometheus'} is for llmtop serve")
    if word in ("runs", "rm"):
        from llmtop.cli.runs import run_list, run_remove

        return run_list(rest, options) if word == "runs" else run_remove(rest, options)
    if word == "open":
        from llmtop.cli.runs import open_run

        options.sources, options.source, options.state = open_run(rest, options), [], ""
    from llmtop.cli.kept import remembers

    options.remember = remembers(options)
    if not (options.once or options.json or sys.stdout.isatty()):
        say("stdout is not a terminal, so this is --once")
        options.once = True
    if options.source[:1] == ["demo"]:
        if len(options.source) > 1:
            raise UsageError(f"demo takes no argument, got {options.source[1]!r}")
        from llmtop.cli.demo import run_demo

        return run_demo(options)
    if mark:
        if word:
            raise UsageError(f"either {word!r} or a command after --, not both")
        from llmtop.cli.command import run_command

        return run_command(options)
    if options.sources is None and (options.source or options.format):
        from llmtop.cli.watch import open_named

        # Before the screen: a wrong name is said where it was typed.
        options.sources = open_named(options)
    if options.once or options.json:
        from llmtop.cli.snapshot import run_snapshot

        return run_snapshot(options)
    from llmtop.cli.watch import run_watch

    return run_watch(options)


def _split(argv: list[str]) -> tuple[list[str], bool, list[str]]:
    """Return what is before the first "--", whether there is one, and what is after it."""
    if "--" not in argv:
        return argv, False, []
    at = argv.index("--")
    return argv[:at], True, argv[at + 1 :]
