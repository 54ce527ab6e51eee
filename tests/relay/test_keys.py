"""Who gets in: keys of this user and of the list, and nobody else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from llmtop import keys
from llmtop.errors import ConfigError, UsageError
from llmtop.publish.current import init
from llmtop.relay.zap import Guard
from llmtop.wire import Kind, pack, pack_json


def test_a_pair_is_made_once_and_for_its_owner_alone(rendezvous: Path) -> None:
    with pytest.raises(ConfigError, match="llmtop keys new"):
        keys.own_pair()
    made = keys.new_pair()
    assert keys.own_pair() == made
    path = keys.folder() / "own.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.folder().stat().st_mode & 0o777 == 0o700
    with pytest.raises(ConfigError, match="already"):
        keys.new_pair()
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        keys.own_pair()
    path.chmod(0o600)
    path.write_text("nonsense\n")
    with pytest.raises(ConfigError, match="not a key pair"):
        keys.own_pair()


def test_the_list(rendezvous: Path) -> None:
    one, two = "ab" * 32, "cd" * 32
    keys.allow(one.upper(), "laptop")
    keys.allow(two, "")
    assert keys.allowed() == {one: "laptop", two: two[:8]}
    with pytest.raises(UsageError, match="did you mean 'laptop'"):
        keys.revoke("lapto")
    assert keys.revoke("laptop") == "laptop"
    assert keys.revoke(two) == two[:8]
    assert keys.allowed() == {}
    with pytest.raises(UsageError, match="64 hexadecimal"):
        keys.allow("xyz", "")
    (keys.folder() / "allowed").write_text("# a comment\n\nbad line\n")
    with pytest.raises(ConfigError, match="line 3"):
        keys.allowed()


def test_addresses_with_keys() -> None:
    key = "0f" * 32
    assert keys.split(f"tcp://h:1?key={key}") == ("tcp://h:1", key)
    assert keys.split("tcp://h:1") == ("tcp://h:1", "")
    with pytest.raises(UsageError, match="64 hexadecimal"):
        keys.split("tcp://h:1?key=abc")


def test_own_and_allowed_keys_get_in_and_others_do_not(
    serve, view, address: str, rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = keys.new_pair()
    guard = Guard(pair, lambda: allowed)
    allowed: dict[str, str] = {}
    serving = serve(address, guard=guard)
    run = init("secret", endpoint=f"{address}?key={pair.public}")
    run.log({"loss": 1.0}, step=0)
    viewer = view(f"{address}?key={pair.public}")
    viewer.until(lambda: viewer.has("secret", "loss", 1))
    stranger = zmq.curve_keypair()
    with zmq.Context() as context:
        for known in (False, True):
            with context.socket(zmq.DEALER) as socket:
                socket.set(zmq.LINGER, 0)
                socket.set(zmq.CURVE_SERVERKEY, bytes.fromhex(pair.public))
                socket.set(zmq.CURVE_PUBLICKEY, stranger[0])
                socket.set(zmq.CURVE_SECRETKEY, stranger[1])
                if known:
                    allowed[z85.decode(stranger[0]).hex()] = "friend"
                with socket.get_monitor_socket() as events:
                    socket.connect(address)
                    names = set()
                    good = {zmq.EVENT_HANDSHAKE_SUCCEEDED, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL}
                    while not names & good:
                        assert events.poll(5000)
                        kind, _ = events.recv_multipart()
                        names.add(int.from_bytes(kind[:2], "little"))
                    assert (zmq.EVENT_HANDSHAKE_SUCCEEDED in names) is known
                    socket.disable_monitor()
        with context.socket(zmq.DEALER) as plain:
            plain.set(zmq.LINGER, 0)
            plain.connect(address)
            plain.send(pack_json(Kind.HELLO, {"role": "monitor"}, session=1))
            plain.send(pack(Kind.PING, seq=1))
            assert not plain.poll(400)
    assert guard.refused >= 1
    assert len(serving.relay.viewers) == 1


def test_a_key_that_is_allowed_later_lets_its_holder_in_who_waits(
    serve, view, address: str, rendezvous: Path
) -> None:
    server = keys.Pair(*(z85.decode(part).hex() for part in zmq.curve_keypair()))
    allowed: dict[str, str] = {}
    guard = Guard(server, lambda: allowed)
    serve(address, guard=guard)
    own = keys.new_pair()
    named = f"{address}?key={server.public}"
    run = init("patient", endpoint=named)
    run.log({"loss": 1.0}, step=0)
    viewer = view(named)
    hint = f"llmtop keys allow {own.public}"
    viewer.until(lambda: guard.refused >= 2 and hint in viewer.engine.source_states[0].reason)
    allowed[own.public] = "laptop"
    viewer.until(lambda: viewer.has("patient", "loss", 1))


def test_nobody_who_attaches_stops_a_run_through_a_relay(
    serve, view, address: str, rendezvous: Path
) -> None:
    pair = keys.new_pair()
    serving = serve(address, guard=Guard(pair))
    run = init("steady", endpoint=f"{address}?key={pair.public}", stoppable=True)
    run.log({"loss": 1.0}, step=0)
    viewer = view(f"{address}?key={pair.public}")
    viewer.until(lambda: viewer.has("steady", "loss", 1))
    (session,) = serving.listener.intake.sessions
    stop = pack_json(Kind.CONTROL, {"action": "stop", "reason": "because"}, session=session)
    with zmq.Context() as context:
        for role in ("monitor", "publisher"):
            with context.socket(zmq.DEALER) as socket:
                socket.set(zmq.LINGER, 0)
                keys.arm(socket, pair.public)
                socket.connect(address)
                socket.send(pack_json(Kind.HELLO, {"role": role, "name": "n"}, session=5))
                socket.send(stop)
                socket.send(pack(Kind.PING, seq=1, session=5))
                assert socket.poll(5000)
    run.log({"loss": 1.0}, step=1)
    viewer.until(lambda: viewer.has("steady", "loss", 2))
    assert not run.should_stop


def test_a_publisher_without_a_key_of_its_own_says_what_to_do(
    serve, view, address: str, rendezvous: Path
) -> None:
    serving = serve(f"ipc://{rendezvous}/mon-1-a.sock")
    run = init("keyless", endpoint=f"{address}?key={'ab' * 32}")
    run.log({"loss": 1.0}, step=0)
    viewer = view(serving.listener.address)
    viewer.until(lambda: viewer.run("keyless") and viewer.run("keyless").events)
    (event,) = viewer.run("keyless").events
    assert "llmtop keys new" in event.text


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_told_and_lets_nobody_in(rendezvous: Path) -> None:
    folder = rendezvous / "keys"
    folder.mkdir()
    folder.chmod(0)
    closed(rendezvous)
    folder.chmod(0o700)


def test_a_folder_that_cannot_be_looked_into_is_told_and_lets_nobody_in(rendezvous: Path) -> None:
    (rendezvous / "keys").write_text("a file, not a folder")
    closed(rendezvous)


def closed(rendezvous: Path) -> None:
    with pytest.raises(ConfigError, match=str(rendezvous / "keys" / "allowed")):
        keys.allowed()
    guard = Guard(keys.Pair("ab" * 32, "cd" * 32))
    request = [b"1.0", b"7", b"", b"", b"", b"CURVE", b"\x12" * 32]
    assert guard._judge(request)[2] == b"300"
    assert guard.refused == 1


def test_the_guard_survives_odd_requests() -> None:
    guard = Guard(keys.Pair("ab" * 32, "cd" * 32), dict)
    with zmq.Context() as context, guard.watch(context), context.socket(zmq.REQ) as asker:
        asker.set(zmq.LINGER, 0)
        asker.set(zmq.REQ_RELAXED, 1)
        asker.connect("inproc://zeromq.zap.01")
        for request in ([b""], [b"1.0", b"x"], [os.urandom(9)] * 30):
            asker.send_multipart(request)
            assert asker.poll(5000)
            assert asker.recv_multipart()[2] == b"400"
    assert not [one for one in threading.enumerate() if one.name == "llmtop-zap"]
