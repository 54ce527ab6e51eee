"""Queues, severities, what is told of failures, the file, and what the terminal is sent."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from alerting import PATIENCE, alert, deliver, until

from llmtop.delivery import delivery as module
from llmtop.delivery.delivery import MAX_WAITING, SINKS
from llmtop.delivery.settings import SinkSettings, read_sinks, with_options
from llmtop.delivery.terminal import BELL, notifications
from llmtop.errors import ConfigError
from llmtop.rules.alert import Alert


def file(path: Path, **more: object) -> SinkSettings:
    return SinkSettings("log", "file", path=str(path), **more)  # type: ignore[arg-type]


def rules(path: Path) -> list[str]:
    return [json.loads(line)["rule"] for line in path.read_text().splitlines()]


def test_each_sink_gets_what_is_bad_enough_for_it(tmp_path: Path) -> None:
    every, bad = tmp_path / "every", tmp_path / "bad"
    sent = deliver(file(every, severity="info", resolved=True), file(bad, severity="critical"))
    sent.tell([alert("a", "info"), alert("b", "warning"), alert("c"),
               alert("d", state="resolved", resolved_at=1e9 + 3600)])
    sent.close(PATIENCE)
    assert rules(every) == ["a", "b", "c", "d"]
    assert rules(bad) == ["c"]
    late = deliver(file(bad, severity="critical"))
    late.tell([alert("e", state="resolved", resolved_at=1e9)], late=True)
    late.close(PATIENCE)
    assert rules(bad) == ["c", "e"]


def test_what_fired_and_was_over_between_two_looks_is_told(tmp_path: Path) -> None:
    sent = deliver(file(tmp_path / "log"))
    sent.tell([alert("brief", state="resolved", resolved_at=1e9 + 1)])
    sent.tell([alert("known")])
    sent.tell([alert("known", state="resolved", resolved_at=1e9 + 1)])
    # That one fired under a monitor before this one, which told it.
    sent.tell([alert("long", state="resolved", resolved_at=1e9 + 3600)])
    sent.close(PATIENCE)
    assert rules(tmp_path / "log") == ["brief", "known"]


def test_a_file_moved_away_begins_anew_and_one_that_cannot_be_written_is_told(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    sent = deliver(file(path))
    sent.tell([alert("a")])
    until(path.exists)
    sent.tell([])
    until(lambda: path.read_text().endswith("\n"))
    path.rename(tmp_path / "old")
    sent.tell([alert("b")])
    until(lambda: path.exists() and path.read_text().endswith("\n"))
    assert (rules(tmp_path / "old"), rules(path)) == (["a"], ["b"])
    sent.close(PATIENCE)
    nowhere = deliver(file(tmp_path / "no" / "log"))
    nowhere.tell([alert()])
    nowhere.close(PATIENCE)
    assert [problem.split(": ")[-1] for problem in nowhere.problems()] == [
        "no such folder", "no such file or directory"]
    os.mkfifo(tmp_path / "pipe")
    stuck = deliver(file(tmp_path / "pipe"))
    stuck.tell([alert()])
    stuck.close(PATIENCE)
    assert stuck.failed == 1


def test_a_flood_is_bounded_counted_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    go, got = threading.Event(), []

    class Slow:
        def check(self) -> str:
            return ""

        def send(self, one: Alert) -> None:
            go.wait(PATIENCE)
            got.append(one.rule)

    monkeypatch.setattr(module, "SINKS", {**SINKS, "exec": lambda settings, clock: Slow()})
    sent = deliver(SinkSettings("slow", "exec", command=("x",)))
    for number in range(MAX_WAITING + 5):
        sent.tell([alert(str(number))])
    assert sent.status == "5 alerts not delivered"
    (problem,) = sent.problems()
    assert "too many alerts wait" in problem
    go.set()
    sent.close(PATIENCE)
    assert got == [str(number) for number in range(MAX_WAITING)]


def test_a_sink_that_breaks_is_told_and_the_next_alert_is_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Broken:
        def check(self) -> str:
            return ""

        def send(self, one: Alert) -> None:
            raise RuntimeError("surprise")

    monkeypatch.setattr(module, "SINKS", {**SINKS, "exec": lambda settings, clock: Broken()})
    sent = deliver(SinkSettings("b", "exec", command=("x",)), file(tmp_path / "log"))
    sent.tell([alert("a"), alert("b")])
    sent.close(PATIENCE)
    assert sent.problems() == ["b: failed: RuntimeError"]
    assert sent.failed == 2
    assert rules(tmp_path / "log") == ["a", "b"]


def test_what_is_left_at_the_end_is_counted() -> None:
    sent = deliver(SinkSettings("slow", "exec", command=("sleep", "5"), timeout=5))
    sent.tell([alert("a"), alert("b")])
    sent.close(0.05)
    assert sent.failed == 2
    assert "not delivered before the end" in sent.problems()[0]
    sent.tell([alert("c")])
    assert sent.failed == 3


def test_the_bell_rings_once_and_notifications_are_few() -> None:
    sent = deliver(SinkSettings("bell", "bell", "critical"), SinkSettings("n", "notify", "info"),
                   TERM="xterm-kitty")
    text = sent.tell([alert(str(number)) for number in range(9)])
    assert text.count(BELL) == 1
    assert text.endswith(BELL)
    assert text.count("p=body") == 4
    assert "6 more alerts" in text
    assert BELL not in sent.tell([alert("w", "warning")])
    assert sent.tell([]) == ""


@pytest.mark.parametrize(("environ", "start"), [
    ({"TERM": "xterm-kitty"}, "\x1b]99;i=llmtop-"),
    ({"TERM": "foot"}, "\x1b]777;notify;llmtop critical"),
    ({"VTE_VERSION": "7200"}, "\x1b]777;notify;"),
    ({"TERM_PROGRAM": "iTerm.app"}, "\x1b]9;llmtop critical"),
    ({"TERM_PROGRAM": "WezTerm"}, "\x1b]9;"),
    ({"TERM_PROGRAM": "ghostty"}, "\x1b]777;"),
])  # fmt: skip
def test_each_terminal_gets_the_form_it_knows(environ: dict[str, str], start: str) -> None:
    sent = deliver(SinkSettings("n", "notify"), **environ)
    assert sent.problems() == []
    assert sent.tell([alert()]).startswith(start)


def test_nothing_is_sent_where_it_would_be_seen_as_text() -> None:
    for environ in ({"TERM": "xterm"}, {"TERM": "xterm-kitty", "TMUX": "/tmp/t"}, {"STY": "1"}):
        sent = deliver(SinkSettings("n", "notify"), **environ)
        assert len(sent.problems()) == 1
        assert sent.tell([alert()]) == ""
    forced = deliver(SinkSettings("n", "notify", force=True), TMUX="/tmp/t")
    text = forced.tell([alert()])
    assert text.startswith("\x1bPtmux;\x1b\x1b]9;")
    assert text.endswith("\x1b\x1b\\\x1b\\")
    screen = deliver(SinkSettings("n", "notify", force=True, form="osc99"), STY="1").tell([alert()])
    assert screen.count("\x1bP") == screen.count("\a\x1b\\") == 2


def test_a_name_cannot_end_the_sequence() -> None:
    bad = alert(message="a\x1b\\b\x07c;d\x9c", hint="e\x1b]9;f")
    for form in ("osc9", "osc99", "osc777"):
        text = notifications([bad], form, {})
        inner = text.replace("\x1b]", "").replace("\x1b\\", "")
        assert not any(c in inner for c in "\x1b\x07\x9c")


GOOD = {
    "bell": {}, "desk": {"to": "notify", "form": "osc9"},
    "page": {"to": "exec", "command": ["x", "y"], "timeout": "5s", "severity": "critical"},
    "team": {"to": "slack", "url_env": "HOOK", "resolved": True},
    "log": {"to": "file", "path": "~/alerts.jsonl"},
}  # fmt: skip


def test_tables_are_read() -> None:
    sinks = read_sinks(Path("c.toml"), GOOD)
    assert [sink.to for sink in sinks] == ["bell", "notify", "exec", "slack", "file"]
    assert (sinks[2].command, sinks[2].timeout) == (("x", "y"), 5.0)
    more = with_options(sinks, bell=True, notify=True, log="x.jsonl")
    assert [sink.name for sink in more[len(sinks):]] == ["--alert-log"]
    assert [sink.to for sink in with_options((), bell=True, notify=True, log="")] == [
        "bell", "notify"]


@pytest.mark.parametrize(("table", "said"), [
    ({"bell": True}, "delivery.bell: a table is needed; write [delivery.bell]"),
    ({"bel": {}}, "delivery.bel.to: 'bel' is none of bell, "),
    ({"t": {"to": "slak"}}, "did you mean 'slack'?"),
    ({"t": {"to": "bell", "severty": "info"}}, "'severty' of a bell, did you mean 'severity'?"),
    ({"t": {"to": "bell", "url": "http://x"}}, "unknown key 'url' of a bell"),
    ({"bell": {"severity": "critcal"}}, "did you mean 'critical'?"),
    ({"bell": {"resolved": "yes"}}, "delivery.bell.resolved: true or false"),
    ({"exec": {}}, "delivery.exec.command: a list is needed"),
    ({"exec": {"command": "notify-send"}}, "delivery.exec.command: a list of texts"),
    ({"exec": {"command": ["x"], "timeout": "5h"}}, "delivery.exec.timeout: '5h' is not a time"),
    ({"exec": {"command": ["x"], "timeout": True}}, "delivery.exec.timeout"),
    ({"slack": {}}, "either url or url_env"),
    ({"slack": {"url": "https://x", "url_env": "Y"}}, "either url or url_env"),
    ({"slack": {"url": "hooks.slack.com"}}, "delivery.slack.url: not an address"),
    ({"slack": {"url": "https://a b"}}, "delivery.slack.url: not an address"),
    ({"file": {}}, "delivery.file.path: the path of a file"),
    ({"notify": {"form": "osc8"}}, "did you mean 'osc9"),
    ({str(n): {"to": "bell"} for n in range(40)}, "more than 32 sinks"),
])  # fmt: skip
def test_a_mistake_names_file_and_key(table: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_sinks(Path("c.toml"), table)
    assert said in str(caught.value)
    assert str(caught.value).startswith("c.toml: ")
