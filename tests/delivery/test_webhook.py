"""Alerts posted to a real server: forms, secrets, attempts again, silence, certificates."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alerting import PATIENCE, Server, alert, deliver, until

from llmtop.delivery import delivery as module
from llmtop.delivery.settings import SinkSettings
from llmtop.delivery.sink import NotDelivered
from llmtop.delivery.webhook import MAX_PAUSE_SECONDS, Webhook, _pause


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.02, 0.03))


def hook(url: str = "", to: str = "webhook", **more: object) -> SinkSettings:
    return SinkSettings("team", to, url=url, **more)  # type: ignore[arg-type]


def test_the_alert_as_json_with_a_token_from_the_environment() -> None:
    with Server() as server:
        made = deliver(hook(url_env="HOOK", token_env="TOKEN"), HOOK=server.url, TOKEN="t0k")
        sink = Webhook(hook(url_env="HOOK", token_env="TOKEN"),
                       {"HOOK": server.url, "TOKEN": "t0k"})
        sink.send(alert())
    assert made.problems() == ["team: $HOOK is not set"]
    (headers, body), = server.posts
    assert headers["Authorization"] == "Bearer t0k"
    assert headers["Content-Type"] == "application/json"
    assert (body["rule"], body["value"], body["step"]) == ("loss_nonfinite", "NaN", 1200)


def test_slack_and_discord_get_their_forms_and_nobody_is_called() -> None:
    with Server() as server:
        sent = deliver(hook(server.url, "slack"), hook(server.url, "discord", resolved=True))
        sent.tell([alert(message="<!channel> @everyone")])
        sent.tell([alert(state="resolved", resolved_at=1e9 + 60)])
        sent.close(PATIENCE)
    assert sent.problems() == []
    slack, = (body for _, body in server.posts if "text" in body)
    assert slack["text"] == "critical: &lt;!channel&gt; @everyone"
    assert "look at the last batch" in slack["attachments"][0]["text"]
    discord = [body for _, body in server.posts if "embeds" in body]
    assert all(body["allowed_mentions"] == {"parse": []} for body in discord)
    assert [body["embeds"][0]["title"] for body in discord] == [
        "critical: <!channel> @everyone", "resolved: loss_nonfinite on gpt-small"]


def test_too_many_requests_then_taken() -> None:
    with Server((429, {"Retry-After": "0.3"}), (503, {})) as server:
        sent = deliver(hook(server.url))
        sent.tell([alert("a")])
        sent.tell([alert("b")])
        until(lambda: len(server.posts) == 4)
        sent.close(PATIENCE)
    assert [body["rule"] for _, body in server.posts] == ["a", "a", "a", "b"]
    assert server.times[1] - server.times[0] >= 0.3
    assert sent.problems() == ["team: answers 429 Too Many Requests; trying again"]
    assert (sent.failed, sent.status) == (0, "")


def test_it_is_given_up_in_the_end_told_once_and_counted() -> None:
    with Server(*[(500, {})] * 4, *[(404, {})] * 2) as server:
        sent = deliver(hook(server.url))
        sent.tell([alert("a"), alert("b"), alert("c"), alert("d")])
        sent.close(PATIENCE)
    # Four attempts at the first, one at each that there is no use in repeating.
    assert [body["rule"] for _, body in server.posts] == ["a"] * 4 + ["b", "c", "d"]
    assert sent.problems() == ["team: answers 500 Internal Server Error; trying again"]
    assert sent.status == "3 alerts not delivered"


def test_redirects_are_not_followed() -> None:
    with Server((302, {"Location": "http://127.0.0.1:1/"})) as server:
        with pytest.raises(NotDelivered, match="answers 302") as caught:
            Webhook(hook(server.url)).send(alert())
        assert not caught.value.again


def test_silence_is_bounded_and_does_not_hold_up_the_caller() -> None:
    with Server((0, {})) as server:
        sent = deliver(hook(server.url, timeout=0.2))
        sent.tell([alert()])
        until(lambda: len(server.posts) == 2)
        sent.close(PATIENCE)
    assert sent.problems() == ["team: no answer within 0.2 s; trying again"]
    assert sent.failed == 0


def test_an_answer_that_drips_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while not done.wait(0.02):
                        connection.send(b"H")
                except OSError:
                    return

        done = threading.Event()
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(NotDelivered, match="no answer within"):
            Webhook(hook(url, timeout=0.3)).send(alert())
        done.set()
        thread.join(PATIENCE)


def test_nobody_there_says_so_without_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotDelivered) as caught:
        Webhook(hook(f"http://127.0.0.1:{port}/secret")).send(alert())
    assert str(caught.value) == "connection refused"
    assert caught.value.again


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", str(path),
             "-out", str(path) + ".crt"], check=True, capture_output=True, timeout=30,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("needs openssl")
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Server() as server:
        server._server.handle_error = lambda *words: None  # type: ignore[method-assign, assignment]
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server


def test_a_certificate_nobody_vouches_for_is_refused_once(secure: Server) -> None:
    sent = deliver(hook(secure.url.replace("http:", "https:")))
    sent.tell([alert()])
    sent.close(PATIENCE)
    assert secure.posts == []
    (problem,) = sent.problems()
    assert problem.startswith("team: certificate: ")
    assert sent.failed == 1


@pytest.mark.parametrize(("text", "seconds"), [
    (None, 0.0), ("3", 3.0), ("-1", 0.0), ("Wed, 21 Oct", 0.0), ("nan", 0.0),
    ("1e9", MAX_PAUSE_SECONDS),
])  # fmt: skip
def test_what_a_server_may_ask_for(text: str | None, seconds: float) -> None:
    assert _pause(text) == seconds


def test_an_address_of_the_environment_is_checked() -> None:
    assert Webhook(hook(url_env="U"), {"U": "ftp://x"}).check().startswith("$U: not an address")
