"""The way back to a run: a real publisher and a real hub, and what must not get through."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zmq
from listener import PATIENCE, Listener
from zmq.utils import z85

import llmtop
from llmtop import _Silence, keys
from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.publish.control import MAX_CALLBACKS, Control
from llmtop.publish.inbox import Inbox
from llmtop.rules.alert import Alert
from llmtop.rules.alerts import Alerts
from llmtop.rules.feedback import Feedback, can_stop
from llmtop.rules.load import alert_table
from llmtop.rules.rule import build
from llmtop.samples import Batch, RunInfo
from llmtop.sources.hub import Hub
from llmtop.store import Run, Store
from llmtop.wire import Kind, pack_json, read_json, unpack


@pytest.fixture
def engine(rendezvous: Path) -> Iterator[Engine]:
    clock = SystemClock()
    rule = build("bad", {**alert_table("loss > 5"), "action": "stop"}, "here")
    made = Engine(Store(memory_bytes=32 << 20), [Hub(rendezvous, clock=clock)], clock,
                  Alerts([rule]))
    made.start()
    yield made
    made.stop()


def until(engine: Engine, condition: Callable[[], Any]) -> Any:
    """Pump until `condition()` holds; return what it returns."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        engine.pump(engine.clock.time())
        time.sleep(0.01)
    return found


def seen(engine: Engine, name: str) -> Run:
    """Return the run of a name once its loss is here."""
    def find() -> Run | None:
        return next((run for run in engine.store.runs if run.name == name and run.series), None)

    run: Run = until(engine, find)
    return run


def test_a_person_stops_a_run_that_allows_it(engine: Engine) -> None:
    run = llmtop.init("willing", stoppable=True)
    run.log({"loss": 1.0}, step=1)
    known = seen(engine, "willing")
    assert can_stop(known)
    assert (run.should_stop, run.stop_reason) == (False, "")
    assert engine.request_stop(known.id, "a person\x1b[2J\nasked")
    until(engine, lambda: run.should_stop)
    assert run.stop_reason == "a person[2J asked"
    # The run says itself that it has heard.
    until(engine, lambda: any("asked to stop" in event.text for event in known.events))
    assert not engine.request_stop(999, "no such run")
    run.finish()
    until(engine, lambda: known.state == "finished")
    assert not can_stop(known)
    assert not engine.request_stop(known.id, "too late")


def test_a_rule_stops_the_run_it_is_about_and_no_other(engine: Engine) -> None:
    willing = llmtop.init("willing", stoppable=True)
    calm = llmtop.init("calm", stoppable=True)
    unasked = llmtop.init("unasked")
    told: list[dict[str, Any]] = []
    unasked.on_alert(told.append)
    for run in (willing, calm, unasked):
        run.log({"loss": 1.0}, step=1)
    for name in ("willing", "calm", "unasked"):
        seen(engine, name)
    assert not can_stop(seen(engine, "unasked"))
    assert not engine.request_stop(seen(engine, "unasked").id, "please")
    willing.log({"loss": 9.0}, step=2)
    unasked.log({"loss": 9.0}, step=2)
    until(engine, lambda: willing.should_stop and told)
    assert willing.stop_reason.startswith("bad: ")
    assert (told[0]["rule"], told[0]["state"], told[0]["value"]) == ("bad", "firing", 9.0)
    assert (calm.should_stop, unasked.should_stop) == (False, False)


def test_what_fired_long_ago_is_told_to_nobody() -> None:
    sent: list[Any] = []

    class Source:
        def send(self, session: str, message: Mapping[str, Any]) -> bool:
            sent.append((session, message["action"]))
            return True

    store, now = Store(memory_bytes=32 << 20), 1e9
    info = RunInfo(key="7", name="r", started=now - 9000, stoppable=True)
    store.apply(0, Batch(runs=(info,)), now)
    old = Alert("k", "bad", "critical", "firing", store.runs[0].id, "r", now - 3600,
                fired_at=now - 3600, action="stop")
    Feedback([Source()]).tell(store, [old], now)
    assert sent == []
    Feedback([object(), Source()]).tell(store, [replace(old, fired_at=now - 1)], now)
    assert sent == [("7", "alert"), ("7", "stop")]
    sent.clear()
    # That it is over is news, that it fired is not.
    over = replace(old, state="resolved", resolved_at=now - 1)
    Feedback([Source()]).tell(store, [over], now)
    assert sent == [("7", "alert")]


def test_callbacks_are_called_in_the_publishers_thread_and_may_fail(rendezvous: Path) -> None:
    run = llmtop.init("r", stoppable=True)
    calls: list[tuple[str, str]] = []

    def bad(alert: dict[str, Any]) -> None:
        calls.append(("bad", threading.current_thread().name))
        raise ValueError(f"wrong {len(calls)}")

    run.on_alert(bad)
    run.on_alert(lambda alert: calls.append((alert["rule"], threading.current_thread().name)))
    run.on_alert("no function")  # type: ignore[arg-type]
    with Listener(rendezvous) as hub:
        hub.until(lambda: hub.sessions)
        for rule in ("a", "b"):
            say(hub, {"action": "alert", "alert": {"rule": rule}})
        hub.until(lambda: len(calls) == 4)
        assert calls == [("bad", "llmtop"), ("a", "llmtop"), ("bad", "llmtop"), ("b", "llmtop")]
        heard = next(iter(hub.sessions.values()))
        hub.until(lambda: len(heard.texts("warning")) == 2)
        assert sorted(heard.texts("warning")) == [
            "on_alert() function raised ValueError", "on_alert() takes a function"]


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt])
def test_a_callback_that_leaves_does_not_take_the_publisher_with_it(
    rendezvous: Path, ending: type[BaseException]
) -> None:
    run = llmtop.init("r")

    def leave(_alert: dict[str, Any]) -> None:
        raise ending

    run.on_alert(leave)
    with Listener(rendezvous) as hub:
        hub.until(lambda: hub.sessions)
        say(hub, {"action": "alert", "alert": {}})
        heard = hub.hear(lambda heard: heard.texts("warning"))
        run.log({"loss": 1.0})
        hub.until(lambda: heard.values("loss"))
    assert heard.texts("warning") == [f"on_alert() function raised {ending.__name__}"]


def test_nonsense_is_left(rendezvous: Path) -> None:
    run = llmtop.init("r", stoppable=True)
    with Listener(rendezvous) as hub:
        hub.until(lambda: hub.sessions)
        for message in ({}, {"action": "explode"}, {"action": "alert", "alert": 3},
                        {"action": ["stop"]}):
            say(hub, message)
        (session, identity), = hub.identities.items()
        hub.ask(identity, Kind.CONTROL, b"[1]", session)
        hub.ask(identity, Kind.CONTROL, b'{"action": "stop"}', session ^ 1)
        say(hub, {"action": "stop", "reason": "the last"})
        hub.until(lambda: run.should_stop)
    assert run.stop_reason == "the last"


def test_nobody_stops_a_run_over_a_connection_without_keys(rendezvous: Path) -> None:
    with Listener(address="tcp://127.0.0.1:*") as hub:
        run = llmtop.init("r", stoppable=True, endpoint=hub.address)
        told: list[dict[str, Any]] = []
        run.on_alert(told.append)
        hub.until(lambda: hub.sessions)
        say(hub, {"action": "stop", "reason": "a stranger"})
        say(hub, {"action": "alert", "alert": {"rule": "x"}})
        # The answer to a PING comes after whatever was sent before it.
        (session, identity), = hub.identities.items()
        heard = hub.only()
        before = heard.order.count(Kind.PONG)
        hub.ask(identity, Kind.PING, session=session)
        hub.until(lambda: heard.order.count(Kind.PONG) > before)
    assert not run.should_stop
    assert told == []


def test_a_monitor_elsewhere_may_ask_where_keys_are_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMTOP_KEYS", str(tmp_path))
    keys.new_pair()
    public, secret = zmq.curve_keypair()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        server.setsockopt(zmq.LINGER, 0)
        server.setsockopt(zmq.CURVE_SERVER, 1)
        server.setsockopt(zmq.CURVE_SECRETKEY, secret)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        key = bytes(z85.decode(public)).hex()
        run = llmtop.init("r", stoppable=True, endpoint=f"tcp://127.0.0.1:{port}?key={key}")
        assert server.poll(PATIENCE * 1000)
        identity, data = server.recv_multipart()
        hello = unpack(data)
        assert read_json(hello, dict)["stoppable"] is True
        message = {"action": "stop", "reason": "from afar"}
        stop = pack_json(Kind.CONTROL, message, session=hello.session)
        server.send_multipart([identity, stop])
        deadline = time.monotonic() + PATIENCE
        while not run.should_stop:
            assert time.monotonic() < deadline
            server.poll(10)
    assert run.stop_reason == "from afar"


def test_without_a_publisher_nothing_says_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _Silence().should_stop
    monkeypatch.setenv("LLMTOP_OFF", "1")
    run = llmtop.init("off", stoppable=True)
    run.on_alert(print)
    assert not run.should_stop


def test_callbacks_are_bounded() -> None:
    inbox = Inbox()
    control = Control(inbox, stoppable=False)
    calls: list[object] = []
    for _ in range(MAX_CALLBACKS + 9):
        control.listen(calls.append)
    control.take(unpack(pack_json(Kind.CONTROL, {"action": "alert", "alert": {}}, session=1)))
    assert len(calls) == MAX_CALLBACKS
    assert [text for _, text in inbox.notices] == [f"on_alert() takes {MAX_CALLBACKS} functions "
                                                   "at most"]


def say(hub: Listener, message: dict[str, Any]) -> None:
    """Send a message to the one publisher there is."""
    (session, identity), = hub.identities.items()
    hub.ask(identity, Kind.CONTROL, json.dumps(message).encode(), session)
