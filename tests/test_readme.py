"""The README is one truth with the code: its tables are the code's tables, its snippets run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmtop.cli.options import COMMANDS, OPTIONS
from llmtop.metrics import METRICS
from llmtop.ui.keys import rows

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    rows = [head, tuple("---" for _ in head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
                     for row in rows)


def code(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


TABLES = {
    "keys": lambda: table(("key", "what it does"), [(f"`{key}`", text) for key, text in rows()]),
    "options": lambda: table(
        ("option", "what it does"),
        [(f"`llmtop {name}`", text) for name, text in COMMANDS]
        + [(code(option.flags), option.help) for option in OPTIONS],
    ),
    "metrics": lambda: table(
        ("metric", "unit", "kind", "better", "also known as"),
        [(f"`{m.name}`", m.unit, m.kind, m.better, code(m.aliases)) for m in METRICS],
    ),
}


def section(text: str, name: str) -> re.Match[str]:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.S)
    assert found, f"README has no {name} section"
    return found


@pytest.mark.parametrize("name", TABLES)
def test_table_is_the_codes_own(name: str) -> None:
    text = README.read_text(encoding="utf-8")
    found = section(text, name)
    wanted = TABLES[name]() + "\n"
    if os.environ.get("LLMTOP_WRITE_README"):
        README.write_text(text[: found.start(1)] + wanted + text[found.end(1) :], encoding="utf-8")
        return
    assert found.group(1) == wanted, "LLMTOP_WRITE_README=1 pytest tests/test_readme.py renews it"


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)


def test_python_snippets_run(tmp_path: Path) -> None:
    first, second = python_blocks()
    setting = "loss, acc, tps = 1.0, 0.5, 100.0\n"
    for block in (setting + first.replace("50_000", "50"), second):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            env={**os.environ, "LLMTOP_DIR": str(tmp_path)},
            capture_output=True, text=True, timeout=30, check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


def test_framework_snippets_name_what_there_is() -> None:
    text = README.read_text(encoding="utf-8")
    for block in re.findall(r"```py\n(.*?)```", text, re.S):
        compile(block, "README", "exec")
        for module, name in re.findall(r"from (llmtop\.\S+) import (\w+)", block):
            source = ROOT / "src" / Path(*module.split(".")).with_suffix(".py")
            assert re.search(rf"^(class|def) {name}\b", source.read_text(encoding="utf-8"), re.M), (
                f"{module} has no {name}")


def test_the_format_of_ones_own_reads_its_line(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(\[formats.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert found
    (tmp_path / "config.toml").write_text(found.group(1), encoding="utf-8")
    log = tmp_path / "mine.log"
    lines = [f"update {i} of 9: objective {3 - i / 9} in 12.5 ms\n" for i in range(9)]
    log.write_text("".join(lines), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "llmtop", "check-format", str(log)], capture_output=True, text=True,
        env={**os.environ, "LLMTOP_CONFIG": str(tmp_path / "config.toml")}, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout.splitlines()[0]
    assert re.search(r"loss +9 points", done.stdout)
    assert re.search(r"step_time +9 points", done.stdout)


def test_the_rules_of_ones_own_are_rules(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(\[rules.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert found
    (tmp_path / "rules.toml").write_text(found.group(1), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "llmtop", "alerts", "--rules", str(tmp_path / "rules.toml")],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "8 sigma" in done.stdout
    assert re.search(r"ttft_high +critical", done.stdout)


def test_the_delivery_of_ones_own_is_read(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(\[delivery.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert found
    path = tmp_path / "config.toml"
    path.write_text(found.group(1), encoding="utf-8")
    from llmtop.config import read_config
    from llmtop.delivery.settings import read_sinks

    assert [sink.name for sink in read_sinks(path, read_config(path).delivery)] == ["team", "page"]


def test_the_limits_of_kept_runs_are_read(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(\[runs\].*?)```", README.read_text(encoding="utf-8"), re.S)
    assert found
    path = tmp_path / "config.toml"
    path.write_text(found.group(1), encoding="utf-8")
    from llmtop.config import read_config
    from llmtop.keep.limits import KEYS, Limits, read_limits

    assert read_limits(path, read_config(path).runs) == Limits(4 << 30, 90 * 86_400.0, True)
    assert all(f"\n{key} = " in found.group(1) for key in KEYS)


def test_every_option_is_in_help() -> None:
    done = subprocess.run([sys.executable, "-m", "llmtop", "--help"], capture_output=True,
                          text=True, timeout=30, check=True)
    for option in OPTIONS:
        assert option.flags[0] in done.stdout
    for name, _ in COMMANDS:
        assert name in done.stdout


def test_links_lead_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (ROOT / target).exists(), target
