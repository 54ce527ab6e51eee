"""CURVE keys: this user's own pair, who else is allowed in, and addresses that name a key.

They lie in `~/.config/llmtop/keys` (or $LLMTOP_KEYS): `own.key`, readable by this user alone, and
`allowed`, one public key and name a line. Keys are written as 64 hexadecimal digits, which a shell
leaves alone. Standard library and pyzmq only: publishers read them too.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmtop.errors import ConfigError, UsageError, nearest

VARIABLE = "LLMTOP_KEYS"
HEX = re.compile("[0-9a-f]{64}")
MAX_BYTES = 1 << 20
"""An allow-list of 10 000 keys."""
MARK = "?key="
"""What in an address comes before the public key of the server there."""


class Pair(NamedTuple):
    """A key pair."""

    public: str
    secret: str


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where keys are kept."""
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE]).expanduser()
    base = environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "llmtop" / "keys"


def own_pair() -> Pair:
    """Return this user's pair.

    Raises:
        ConfigError: there is none, it is damaged, or others can read it.
    """
    path = folder() / "own.key"
    try:
        mode = path.stat().st_mode
    except OSError:
        raise ConfigError(f"{path}: no key yet; make one: llmtop keys new") from None
    if mode & 0o077:
        raise ConfigError(f"{path}: open to others (mode {stat.S_IMODE(mode):o}); chmod 600 {path}")
    words = dict(line.split(maxsplit=1) for line in _read(path) if " " in line)
    public, secret = words.get("public", ""), words.get("secret", "")
    if not (HEX.fullmatch(public) and HEX.fullmatch(secret)):
        raise ConfigError(f"{path}: not a key pair; remove it and run: llmtop keys new")
    return Pair(public, secret)


def new_pair() -> Pair:
    """Make this user's pair.

    Raises:
        ConfigError: there is one already, or it cannot be written.
    """
    import zmq

    path = folder() / "own.key"
    pair = Pair(*(_hex(part) for part in zmq.curve_keypair()))
    text = f"public {pair.public}\nsecret {pair.secret}\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path}: there is a key already; llmtop keys list shows it") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    return pair


def allowed() -> dict[str, str]:
    """Return who is allowed in: name by public key, in order.

    Raises:
        ConfigError: the list cannot be read or a line of it makes no sense.
    """
    path = folder() / "allowed"
    found: dict[str, str] = {}
    try:
        path.stat()
    except FileNotFoundError:
        return found
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    for number, line in enumerate(_read(path), 1):
        key, _, name = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if not HEX.fullmatch(key):
            raise ConfigError(f"{path}: line {number}: not a key of 64 hexadecimal digits")
        found[key] = name.strip() or key[:8]
    return found


def allow(key: str, name: str) -> None:
    """Let whoever has the secret of public key `key` in.

    Raises:
        UsageError: it is no key, or the name cannot be used.
        ConfigError: the list cannot be written.
    """
    key = key.lower()
    if not HEX.fullmatch(key):
        raise UsageError(f"keys allow: {key!r} is not a key of 64 hexadecimal digits")
    if not name.isprintable() or len(name) > 64:
        raise UsageError("keys allow: a name is at most 64 printable characters")
    _write({**allowed(), key: name or key[:8]})


def revoke(word: str) -> str:
    """Let a key, given itself or by its name, in no more; return its name.

    Raises:
        UsageError: no such key is allowed.
        ConfigError: the list cannot be written.
    """
    known = allowed()
    gone = [key for key, name in known.items() if word.lower() == key or word == name]
    if not gone:
        raise UsageError(f"keys revoke: {word!r} is not allowed{nearest(word, known.values())}")
    name = known[gone[0]]
    _write({key: name for key, name in known.items() if key not in gone})
    return name


def split(address: str) -> tuple[str, str]:
    """Return an address without its key, and the key, "" if it names none.

    Raises:
        UsageError: what it names is no key.
    """
    plain, mark, key = address.partition(MARK)
    key = key.lower()
    if mark and not HEX.fullmatch(key):
        raise UsageError(f"{address!r}: the key is not 64 hexadecimal digits")
    return plain, key


def arm(socket: Any, server: str) -> None:
    """Have a socket that will connect prove who it is, to `server` (a public key) alone.

    Raises:
        ConfigError: this user has no pair that can be used.
    """
    import zmq

    pair = own_pair()
    socket.set(zmq.CURVE_SERVERKEY, bytes.fromhex(server))
    socket.set(zmq.CURVE_PUBLICKEY, bytes.fromhex(pair.public))
    socket.set(zmq.CURVE_SECRETKEY, bytes.fromhex(pair.secret))


def _hex(z85: bytes) -> str:
    from zmq.utils import z85 as code

    return bytes(code.decode(z85)).hex()


def _read(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file.read(MAX_BYTES).splitlines()]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None


def _write(known: Mapping[str, str]) -> None:
    path = folder() / "allowed"
    fresh = path.with_name(f"allowed.{os.getpid()}")
    text = "".join(f"{key} {name}\n" for key, name in known.items())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
