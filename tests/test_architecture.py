"""The house rules that a machine can check: lint, types, layers, and what is imported when."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "llmtop"
LONGEST = 300
"""Lines of a module beyond which it holds two ideas."""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.timeout(240)
def test_types() -> None:
    done = run("-m", "mypy")
    assert done.returncode == 0, done.stdout


def test_lint() -> None:
    done = run("-m", "ruff", "check", "--no-cache", "src", "tests")
    assert done.returncode == 0, done.stdout


def test_layers() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = run("-c", code)
    assert done.returncode == 0, done.stdout


def modules_after(code: str) -> set[str]:
    program = f"import sys, json\n{code}\njson.dump(sorted(sys.modules), sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "LLMTOP_DIR": "/nonexistent/llmtop"},
    )  # fmt: skip
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


THIRD_PARTY = {
    "numpy", "textual", "rich", "psutil", "pynvml", "watchdog", "tomli", "markdown_it", "pygments",
}  # fmt: skip


def test_the_publisher_imports_the_standard_library_and_pyzmq() -> None:
    code = "import llmtop\nrun = llmtop.init('x')\nrun.log({'a': 1.0})\nrun.finish()"
    found = modules_after(code)
    assert not found & THIRD_PARTY
    ours = {"llmtop", "zmq", "__main__"}
    standard = set(sys.stdlib_module_names)
    extra = {name for name in found - ours - standard if not name.startswith("_")}
    # What site packages put into every process of this environment is not the publisher's doing.
    assert extra <= modules_after("import zmq")


def test_the_package_alone_imports_next_to_nothing() -> None:
    assert not modules_after("import llmtop") & (THIRD_PARTY | {"zmq"})


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--once", "--wait", "0"],
                                   ["--json", "--wait", "0"]], ids=" ".join)
def test_no_textual_without_a_screen(words: list[str], tmp_path: Path) -> None:
    code = (f"import os; os.environ['LLMTOP_DIR'] = {str(tmp_path)!r}\n"
            "from llmtop.cli.main import main\n"
            f"try: main({words!r})\nexcept SystemExit: pass\nprint(file=sys.stderr)")
    assert "textual" not in modules_after(code)


def test_every_package_says_what_it_is_for() -> None:
    for path in SRC.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_names_of_test_files_are_unique() -> None:
    """pytest imports them by their names alone."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py")
             if path.name not in ("conftest.py", "__init__.py", "__main__.py")]
    assert sorted(names) == sorted(set(names))


def test_files_hold_one_idea() -> None:
    for path in SRC.rglob("*.py"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST, f"{path.relative_to(ROOT)} has {lines} lines"


def test_one_clock() -> None:
    """Nothing in the monitor asks the operating system for the time but clock.py."""
    allowed = {"clock.py", "publish", "integrations", "demo", "tensorboard.py"}
    for path in SRC.rglob("*.py"):
        if path.relative_to(SRC).parts[0] in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                name = ast.unparse(node.func)
                assert name not in ("time.time", "datetime.now", "datetime.utcnow"), path


def test_the_wheel_holds_themes_and_data(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="building a wheel needs hatchling, see [test]")
    done = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    assert done.returncode == 0, done.stderr
    import zipfile

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    themes = {f"llmtop/themes/{path.name}" for path in (ROOT / "themes").glob("*.toml")}
    assert len(themes) >= 4
    assert themes <= names
    sources = {f"llmtop/{path.relative_to(SRC)}" for path in SRC.rglob("*")
               if path.is_file() and "__pycache__" not in path.parts}
    assert sources <= names
