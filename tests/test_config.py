"""The config file is read once and judged key by key; formats of the user read their logs."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from llmtop import plugins
from llmtop.config import VARIABLE, Config, config_path, read_config
from llmtop.errors import ConfigError
from llmtop.formats.base import LineFormat
from llmtop.formats.custom import from_pattern
from llmtop.formats.table import load_table
from logfiles import read_files

GOOD = r"""
[formats.mine]
pattern = 'it (?P<step>\d+) at (?P<time>\S+) l=(?P<loss>\S+) t=(?P<took>\S+)'
units = { took = "ms" }
phase = "eval"
"""


def config(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return read_config(path)


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert read_config(tmp_path / "no.toml").formats == ()


def test_where_it_is_looked_for() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/llmtop/config.toml")
    assert config_path({VARIABLE: "/y.toml"}) == Path("/y.toml")


def test_a_format(tmp_path: Path) -> None:
    (one,) = config(tmp_path, GOOD).formats
    assert (one.name, one.units, one.phase) == ("mine", {"took": "ms"}, "eval")


@pytest.mark.parametrize(("text", "said"), [
    ("[format.a]\npattern='x'", "unknown key 'format', did you mean 'formats'"),
    ("[formats.a]\npatern='x'", "unknown key 'formats.a.patern', did you mean 'pattern'"),
    ("[formats.a]\n", "formats.a.pattern: a regular expression is needed"),
    ("[formats.a]\npattern='('", "formats.a.pattern: missing )"),
    ("[formats.a]\npattern='loss (\\d+)'", "no named group for a metric"),
    ("[formats.a]\npattern='(?P<loss>x)'\nunits={los='s'}", "did you mean 'loss'"),
    ("[formats.a]\npattern='(?P<loss>x)'\nphase='evil'", "did you mean 'eval'"),
    ("formats = 3", "formats: a table is needed"),
    ("[formats", "config.toml: "),
])  # fmt: skip
def test_a_mistake_names_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, text)
    assert said in str(caught.value)
    assert "config.toml" in str(caught.value)
    assert "\n" not in str(caught.value) or text == "[formats"


def test_a_users_format_reads_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text(GOOD)
    monkeypatch.setenv(VARIABLE, str(path))
    table = load_table("mine")
    (known,) = table.lines
    items = list(known.reader().read("it 7 at 2026-01-01T00:00:00Z l=nan t=12ms") or ())
    assert items[0].step == 7  # type: ignore[union-attr]
    assert items[0].time == 1767225600.0  # type: ignore[union-attr]
    assert list(items[0].values) == ["loss", "took"]  # type: ignore[union-attr]
    assert known.reader().read("it was nothing") is None


def entries(monkeypatch: pytest.MonkeyPatch, *values: tuple[str, str]) -> None:
    made = EntryPoints(EntryPoint(name, value, plugins.FORMATS) for name, value in values)
    monkeypatch.setattr(plugins, "entry_points", lambda group: made.select(group=group))


MINE = LineFormat("plugged", "a plugin", "x", ("x",), object)  # type: ignore[arg-type]
TWICE = LineFormat("nanogpt", "a plugin", "x", ("x",), object)  # type: ignore[arg-type]


def test_plugins_add_formats_and_broken_ones_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.toml"))
    entries(monkeypatch, ("a", f"{__name__}:MINE"), ("b", "no.such.module:X"),
            ("c", f"{__name__}:GOOD"), ("d", f"{__name__}:TWICE"))
    table = load_table()
    assert table.all[0] is MINE
    assert len(table.problems) == 3
    assert "plugin 'b'" in table.problems[0]
    assert "str is no LineFormat" in table.problems[1]
    assert "'nanogpt' is there twice" in table.problems[2]


def test_a_pattern_of_the_user_is_tried_on_every_line(tmp_path: Path) -> None:
    known = from_pattern(config(tmp_path, GOOD).formats[0])
    assert all(mark in "anything" for mark in known.marks)


def test_without_config_logs_are_read_as_always(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("step=1 loss=2.5\n")
    assert read_files([log]).series == {"loss": [(1, 2.5)]}
