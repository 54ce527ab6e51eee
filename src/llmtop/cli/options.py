"""The one table of options and commands: the parser and the README's table come from it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

from llmtop.errors import UsageError, nearest


@dataclass(frozen=True)
class Option:
    """One option of the command line."""

    flags: tuple[str, ...]
    help: str
    extra: dict[str, Any] = field(default_factory=dict)


OPTIONS: tuple[Option, ...] = (
    Option(("--once",), "print what is known as text and leave; needs no terminal",
           {"action": "store_true"}),
    Option(("--json",), "print what is known as one JSON document and leave",
           {"action": "store_true"}),
    Option(("--wait",), "with --once or --json: wait at most SECONDS for the sources (default 5)",
           {"type": float, "default": 5.0, "metavar": "SECONDS"}),
    Option(("--format",), "read log files as this format, whatever is in them; see llmtop formats",
           {"default": "", "metavar": "NAME"}),
    Option(("--poll",), "look at log files every SECONDS, instead of being told of changes",
           {"type": float, "default": None, "metavar": "SECONDS"}),
    Option(("--interval",), "look at servers' pages every SECONDS (default 1)",
           {"type": float, "default": None, "metavar": "SECONDS"}),
    Option(("--slo",), "latencies promised, such as ttft=200ms,itl=50ms, or a preset such as chat",
           {"default": "", "metavar": "LIMITS"}),
    Option(("--metric",), "chart what else a server's page tells and REGEX finds; may be repeated",
           {"action": "append", "default": [], "metavar": "REGEX"}),
    Option(("--token-env",), "send the token in environment variable NAME to the servers named",
           {"default": "", "metavar": "NAME"}),
    Option(("--insecure",), "do not verify servers' certificates", {"action": "store_true"}),
    Option(("--no-discover",), "do not look for inference servers on this machine",
           {"action": "store_true"}),
    Option(("--memory",), "memory the store may use, such as 512M or 2G (default 512M)",
           {"default": "512M", "metavar": "SIZE"}),
    Option(("--state",), "keep runs in DIR, and look for kept ones there; '' keeps none",
           {"default": None, "metavar": "DIR"}),
    Option(("--remember",), "keep what is seen on disk, as serve does; see llmtop runs",
           {"action": "store_true"}),
    Option(("--listen",), "with serve: also listen at ADDRESS; off loopback keys are required",
           {"default": "", "metavar": "ADDRESS"}),
    Option(("--prometheus",), "with serve: a page for Prometheus at ADDRESS, such as :9464",
           {"default": "", "metavar": "ADDRESS"}),
    Option(("--alert",), "one more rule, such as 'loss > 5 for 2m'; may be given several times",
           {"action": "append", "default": [], "metavar": "CONDITION"}),
    Option(("--rules",), "read rules from FILE, not from rules.toml beside the config file",
           {"default": "", "metavar": "FILE"}),
    Option(("--bell",), "ring the terminal's bell when an alert fires", {"action": "store_true"}),
    Option(("--notify",), "show alerts as desktop notifications, if the terminal does that",
           {"action": "store_true"}),
    Option(("--alert-log",), "append alerts to FILE, one JSON object a line",
           {"default": "", "metavar": "FILE"}),
    Option(("--for",), "with check: go on watching so long, such as 10m",
           {"default": "", "metavar": "TIME", "dest": "lasting"}),
    Option(("--fps",), "screen updates a second (default 4, over SSH 2)",
           {"type": float, "default": None, "metavar": "N"}),
    Option(("--theme",), "the theme to start with (default ink)",
           {"default": "", "metavar": "NAME"}),
)
COMMANDS: tuple[tuple[str, str], ...] = (
    ("PATH...", "show log files, folders and globs, live"),
    ("http://HOST:PORT...", "watch inference servers by their /metrics pages"),
    ("-", "show what is piped in: python train.py 2>&1 | llmtop -"),
    ("-- COMMAND...", "run a command, show its output and metrics, end with its exit code"),
    ("formats", "list the log formats, each with an example"),
    ("check-format FILE", "say what is recognised in a log, and what is left out and why"),
    ("serve [SOURCE...]", "do without a screen; others attach to it, and publish to it"),
    ("ssh://HOST", "show the runs of a user on another machine; needs nothing there but ssh"),
    ("tcp://HOST:PORT", "show what llmtop serve knows elsewhere; ipc://PATH: on this machine"),
    ("sub://HOST:PORT", "show what a foreign ZeroMQ PUB socket sends: JSON objects, or frames"),
    ("keys new|list", "make this user's key for connections between machines; show all keys"),
    ("keys allow|revoke", "let the holder of a KEY in at llmtop serve, or no more"),
    ("runs", "list the runs kept on disk: when, how long, how they ended, last loss, size"),
    ("open RUN", "show a kept run, by its name or the beginning of its id"),
    ("rm RUN...", "delete kept runs"),
    ("check [SOURCE...]", "judge the alert rules without a screen: exit 0 quiet, 1 fired"),
    ("alerts", "list the alert rules, their thresholds, severity and state"),
    ("alerts test RULES SOURCE", "say when the rules of a file would have fired in a log"),
    ("demo", "train and serve a small real model on this machine, and watch it"),
)
"""What stands after `llmtop`."""

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
MIN_MEMORY = 32 << 20
"""The least the store is useful with: one slab of each size class."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        flags = [flag for option in OPTIONS for flag in option.flags]
        wrong = next((word for word in message.split() if word.startswith("--")), "")
        hint = nearest(wrong, flags) if wrong and wrong not in flags else ""
        raise UsageError(f"{message}{hint}; llmtop --help lists the options")


def parser(version: str) -> argparse.ArgumentParser:
    """Return the parser."""
    commands = "\n".join(f"  {name:<18}  {text}" for name, text in COMMANDS)
    out = _Parser(
        prog="llmtop",
        description="top for LLM training and inference: shows the runs of this machine, live.",
        epilog=f"commands:\n{commands}\n\nWith no command it finds the runs of this user by "
               "itself.\nInside: ? shows the keys, q quits.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    out.add_argument("source", nargs="*", metavar="COMMAND|SOURCE",
                     help="a command, or what to watch (default: this machine's runs)")
    for option in OPTIONS:
        out.add_argument(*option.flags, help=option.help, **option.extra)
    out.add_argument("--version", action="version", version=f"llmtop {version}")
    return out


def memory_bytes(text: str) -> int:
    """Return a size such as "512M" in bytes.

    Raises:
        UsageError: not a size, or too small to work with.
    """
    word = text.strip().upper().removesuffix("B").removesuffix("I")
    number, unit = (word[:-1], word[-1]) if word and word[-1].isalpha() else (word, "")
    try:
        size = int(float(number) * _SIZES[unit])
    except (ValueError, KeyError, OverflowError):
        raise UsageError(f"--memory: {text!r} is not a size; write 512M or 2G") from None
    if size < MIN_MEMORY:
        raise UsageError(f"--memory: {text!r} is too small; the least is {MIN_MEMORY >> 20}M")
    return size
