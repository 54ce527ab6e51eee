from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from llmtop.errors import ConfigError
from llmtop.ui.theme import (
    ANSI,
    default_theme,
    load_themes,
    parse_theme,
    role_styles,
    theme_folders,
    variable_defaults,
)

GOOD = """
name = "Night"
dark = true
[colors]
primary = "#58c4ff"
foreground = "#b9c2d4"
background = "#0d1017"
[chart]
series = ["#4fc1ff", "#ffc247", "#f35183", "#8b7cf8", "#b6f5c6", "#c07a35"]
raw = 0.5
frame = "#3a4456"
critical = "#ff5d73"
"""
VARIABLES = {
    *(f"{kind}-{number}" for kind in ("series", "raw", "fill") for number in range(1, 7)),
    *(f"chart-{name}" for name in ("background", "frame", "grid", "track", "dim", "text")),
    "chart-bright",
    "chart-raw",
    "ok",
    "warning",
    "critical",
}


def write(folder: Path, text: str, name: str = "night.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def names(themes: list[Theme]) -> list[str]:
    return [theme.name for theme in themes]


def test_a_theme_file_gives_every_variable(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    themes, failed = load_themes([tmp_path])
    assert failed == []
    assert names(themes) == ["night", "ansi"]
    variables = themes[0].variables
    assert variables.keys() >= VARIABLES
    assert variables["series-3"] == "#f35183"
    assert variables["chart-frame"] == "#3a4456"
    assert variables["critical"] == "#ff5d73"


def test_raw_is_a_share_of_the_series_colour_over_the_background(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    variables = load_themes([tmp_path])[0][0].variables
    raw, ground = Color.parse(variables["raw-1"]), Color.parse("#0d1017")
    series = Color.parse("#4fc1ff")
    for channel in range(3):
        middle = (ground[channel] + series[channel]) / 2
        assert abs(raw[channel] - middle) <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("series =", "sereis ="), "no such key chart.sereis, did you mean 'series'?"),
        (("primary", "primry"), "no such key colors.primry, did you mean 'primary'?"),
        (("[chart]", "[charts]"), "no such key charts, did you mean 'chart'?"),
        (('"#58c4ff"', '"#58c4f"'), "colors.primary = '#58c4f' is not a colour"),
        (('"#ffc247"', "7"), "chart.series[1] = 7 is not a colour"),
        ((', "#c07a35"]', "]"), "chart.series must be a list of 6 colours"),
        (("raw = 0.5", "raw = 2"), "chart.raw must be a share"),
        (("dark = true", 'dark = "yes"'), "dark must be true or false"),
        (('name = "Night"', "name = 3"), "name must be a text"),
        (('background = "#0d1017"', ""), "colors.background is missing"),
        (("[colors]", "[colors"), ""),
    ],
)
def test_a_bad_file_is_a_message_that_names_file_and_key(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    write(tmp_path, GOOD.replace(*change))
    write(tmp_path, GOOD.replace("Night", "Other"), "other.toml")
    themes, failed = load_themes([tmp_path])
    assert names(themes) == ["other", "ansi"]
    assert len(failed) == 1
    assert failed[0].startswith("night.toml: ")
    assert message in failed[0]


@pytest.mark.parametrize("data", [b"\xff\xfe", b"#" * 70_000], ids=["not utf-8", "too large"])
def test_a_file_that_is_no_theme_is_a_message(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.toml").write_bytes(data)
    themes, failed = load_themes([tmp_path])
    assert names(themes) == ["ansi"]
    assert failed[0].startswith("x.toml: ")


def test_a_folder_that_is_not_there_holds_no_themes(tmp_path: Path) -> None:
    assert load_themes([tmp_path / "nowhere"])[1] == []


def test_a_user_theme_wins_over_a_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a", GOOD)
    write(tmp_path / "b", GOOD.replace("#3a4456", "#123456"))
    themes, _ = load_themes([tmp_path / "a", tmp_path / "b"])
    assert names(themes) == ["night", "ansi"]
    assert themes[0].variables["chart-frame"] == "#123456"


def test_the_users_folder_follows_xdg(tmp_path: Path) -> None:
    assert theme_folders({"XDG_CONFIG_HOME": str(tmp_path)})[1] == tmp_path / "llmtop" / "themes"
    home = theme_folders({"HOME": str(tmp_path)})[1]
    assert home == tmp_path / ".config" / "llmtop" / "themes"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=7)
            | st.dictionaries(st.sampled_from(["series", "raw", "frame", "primary", "x"]), inner)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["name", "dark", "colors", "chart"]),
)
def test_any_value_anywhere_is_a_theme_or_a_config_error(value: object, key: str) -> None:
    table: dict[str, object] = {"name": "x", "colors": ANSI["colors"], key: value}
    try:
        name = parse_theme(table, "x.toml").name
    except ConfigError as error:
        name = str(error).partition(": ")[0]
    assert name in ("x", "x.toml") or key == "name"


@pytest.mark.parametrize("name", BUILTIN_THEMES)
def test_textuals_own_themes_have_every_variable_and_role(name: str) -> None:
    theme = BUILTIN_THEMES[name]
    variables = variable_defaults(theme)
    assert variables.keys() >= VARIABLES
    styles = role_styles({**variables, **theme.to_color_system().generate()}, {})
    assert styles.keys() >= {"blank", "text", "dim", "critical", "series-6", "raw-1", "fill-1-a"}
    assert all(style.bgcolor is not None for style in styles.values())


def test_every_role_a_chart_uses_has_a_style() -> None:
    from llmtop.chart import ROLES

    variables = variable_defaults(BUILTIN_THEMES["nord"])
    nord = {**variables, **BUILTIN_THEMES["nord"].to_color_system().generate()}
    assert set(ROLES) <= role_styles(nord, {}).keys()
    assert set(ROLES) <= role_styles(nord, {"NO_COLOR": "1"}).keys()


def test_shipped_themes_load_without_a_word() -> None:
    themes, failed = load_themes()
    assert failed == []
    assert {"ink", "paper", "contrast", "mono", "ansi"} <= set(names(themes))


def test_without_colour_roles_differ_by_attributes_only() -> None:
    styles = role_styles(variable_defaults(BUILTIN_THEMES["nord"]), {"NO_COLOR": ""})
    assert all(style.color is None and style.bgcolor is None for style in styles.values())
    assert styles["critical"] != styles["text"] != styles["dim"]
    assert styles["text"] == Style()


@pytest.mark.parametrize(
    ("colours", "environ", "expected"),
    [
        ("truecolor", {}, "ink"),
        ("256", {}, "ink"),
        ("standard", {}, "ansi"),
        (None, {}, "ansi"),
        ("truecolor", {"NO_COLOR": "1"}, "ansi"),
    ],
)
def test_the_first_theme_fits_the_terminal(
    colours: str | None, environ: dict[str, str], expected: str
) -> None:
    assert default_theme(colours, environ) == expected


async def test_an_app_takes_the_themes_and_styles_with_their_variables(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    themes, _ = load_themes([tmp_path])

    class Themed(App[None]):
        CSS = "Screen { background: $chart-track; color: $series-2; border: round $critical; }"

        def get_theme_variable_defaults(self) -> dict[str, str]:
            return variable_defaults(self.current_theme)

    app = Themed()
    async with app.run_test() as pilot:
        for theme in themes:
            app.register_theme(theme)
        for name in ("night", "ansi", "nord", "night"):
            app.theme = name
            await pilot.pause()
        assert app.screen.styles.color == Color.parse("#ffc247")
        assert role_styles(app.theme_variables, {})["accent"].color is not None
