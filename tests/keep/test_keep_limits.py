"""What the config file says of kept runs, and what goes when there are too many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keep.telling import bye, data, defs, hello, write
from llmtop.config import read_config
from llmtop.errors import ConfigError
from llmtop.keep.folder import Locks, paths
from llmtop.keep.limits import Limits, read_limits
from llmtop.keep.room import make_room

NOW = 1_800_000_000.0


def limits(tmp_path: Path, text: str) -> Limits:
    path = tmp_path / "config.toml"
    path.write_text("[runs]\n" + text)
    return read_limits(path, read_config(path).runs)


def test_without_a_word_the_defaults_hold(tmp_path: Path) -> None:
    assert limits(tmp_path, "") == Limits(1 << 30, 30 * 86_400.0, False)
    assert limits(tmp_path, 'size = "64 MiB"\nage = "12h"') == Limits(64 << 20, 43_200.0)


@pytest.mark.parametrize(("text", "wanted"), [
    ("sise = 1", "unknown key 'runs.sise', did you mean 'size'?"),
    ("size = 1", 'runs.size: a size is needed, such as "4G"'),
    ('size = "1 parsec"', "runs.size: a size is needed"),
    ('size = "1M"', "runs.size: the least is 16M"),
    ('age = "old"', 'runs.age: a length of time is needed, such as "30d"'),
    ("age = 0", "runs.age: a length of time"),
    ('remember = "yes"', "runs.remember: true or false"),
])  # fmt: skip
def test_a_mistake_names_file_and_key(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as error:
        limits(tmp_path, text)
    assert str(error.value).startswith(str(tmp_path / "config.toml"))
    assert wanted in str(error.value)


def kept(tmp_path: Path, count: int) -> list[Path]:
    made = []
    for number in range(count):
        path = tmp_path / f"{number:08x}.run"
        write(path, [hello(1), defs(1, "0"), data(1, 0, [(0, 1.0, 1, 1.0)] * 1000), bye(1)])
        os.utime(path, (NOW - 3600.0 * number,) * 2)
        made.append(path)
    return made


def test_the_oldest_go_but_none_that_is_written(tmp_path: Path) -> None:
    made = kept(tmp_path, 5)
    locks = Locks(tmp_path)
    size = made[0].stat().st_size
    make_room(tmp_path, Limits(3 * size), locks, {made[4].stem}, NOW)
    assert paths(tmp_path) == [made[0], made[1], made[4]]
    make_room(tmp_path, Limits(age=1800.0), locks, set(), NOW)
    assert paths(tmp_path) == [made[0]]
    locks.close()
