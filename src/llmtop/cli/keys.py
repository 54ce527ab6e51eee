"""`llmtop keys`: this user's CURVE key, and whose else `llmtop serve` lets in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmtop import keys
from llmtop.errors import ConfigError, UsageError, nearest


def run_keys(words: Sequence[str]) -> int:
    """Do what the words after `llmtop keys` say and return 0.

    Raises:
        UsageError: they say nothing that can be done.
        ConfigError: keys cannot be read or written.
    """
    word, *rest = words or ["list"]
    action = ACTIONS.get(word)
    if action is None:
        raise UsageError(f"keys: {word!r} is none of {', '.join(ACTIONS)}{nearest(word, ACTIONS)}")
    least, most, do = action
    if not least <= len(rest) <= most:
        raise UsageError(f"usage: llmtop keys {USES[word]}")
    print("\n".join(do(rest)))  # noqa: T201
    return 0


def _new(_rest: list[str]) -> list[str]:
    pair = keys.new_pair()
    return [
        f"{pair.public}  this user's public key", "let it in at a relay of another user:",
        f"  llmtop keys allow {pair.public} NAME",
    ]  # fmt: skip


def _list(_rest: list[str]) -> list[str]:
    try:
        lines = [f"{keys.own_pair().public}  this user's"]
    except ConfigError as error:
        lines = [str(error)]
    return [*lines, *(f"{key}  {name}" for key, name in keys.allowed().items())]


def _allow(rest: list[str]) -> list[str]:
    key, name = [*rest, ""][:2]
    keys.allow(key, name)
    return [f"{name or key[:8]} may connect; a relay that runs needs no restart"]


def _revoke(rest: list[str]) -> list[str]:
    return [f"{keys.revoke(rest[0])} may not connect any more; it stays where it is connected "
            "until that relay ends"]  # fmt: skip


USES = {"new": "new", "list": "list", "allow": "allow KEY [NAME]", "revoke": "revoke KEY|NAME"}
ACTIONS: dict[str, tuple[int, int, Callable[[list[str]], list[str]]]] = {
    "new": (0, 0, _new), "list": (0, 0, _list), "allow": (1, 2, _allow), "revoke": (1, 1, _revoke),
}  # fmt: skip
"""Word -> how many more there must and may be, and what it does."""
