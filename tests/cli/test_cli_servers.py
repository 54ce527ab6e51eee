"""Servers on the command line: watched, refused with a reason; options as people type them."""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmtop.cli.main import main
from llmtop.cli.servers import limits, server_settings
from llmtop.errors import ConfigError, UsageError


@contextmanager
def server(status: int = 200, words: str | None = None) -> Iterator[str]:
    """Yield the address of a server that has made a hundred tokens more at each look."""
    looks = iter(range(1, 10**9))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (f'vllm:generation_tokens_total{{model_name="org/tiny"}} {100 * next(looks)}\n'
                    'vllm:num_requests_running{model_name="org/tiny"} 2\n').encode()
            self.send_response(status if self.path == "/metrics" else 404, words)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: serving.serve_forever(0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}"
    finally:
        serving.shutdown()
        serving.server_close()
        thread.join()


def test_a_server_is_told_in_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    with server() as address:
        assert main(["--json", "--interval", "0.1", "--wait", "20", address]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert (run["name"], run["phase"], run["source"]) == ("tiny", "serve", "scrape")
    series = {one["name"]: one for one in run["series"]}
    assert series["requests_running"]["last"][2] == 2
    assert series["generated_tokens"]["total"] == pytest.approx(100)


def test_a_server_that_does_not_answer_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with server() as address:
        pass
    assert main(["--once", "--wait", "5", address]) == 1
    assert "nothing listens there" in capsys.readouterr().err
    with server(401) as address:
        assert main(["--once", "--wait", "5", address]) == 1
    assert "401 Unauthorized; see --token-env" in capsys.readouterr().err


def test_the_words_of_a_server_do_not_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    with server(503, "\x1b[2Jbusy\x07\x9b31m") as address:
        assert main(["--once", "--wait", "5", address]) == 1
    assert "answers 503 [2Jbusy31m\n" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "says"), [
    (["http://"], "no host"), (["htp://x"], "did you mean"),
    (["http://x", "--interval", "0"], "--interval: between 0.1 and 3600"),
    (["http://x", "--metric", "("], "no regular expression"),
    (["http://x", "--token-env", "NO_SUCH_VARIABLE"], "no token in 'NO_SUCH_VARIABLE'"),
])  # fmt: skip
def test_what_cannot_be_used_is_said_in_one_line(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert main(["--once", *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_settings() -> None:
    options = argparse.Namespace(
        interval=5.0, insecure=True, token_env="T", metric=["^node_", "load"],
    )
    found = server_settings(options, {"T": " secret\n"})
    assert (found.interval, found.insecure, found.token) == (5.0, True, "secret")
    assert [pattern.pattern for pattern in found.metrics] == ["^node_", "load"]
    with pytest.raises(UsageError, match="--token-env"):
        server_settings(options, {"T": "two\r\nlines"})


def test_promises_come_from_the_command_line_else_from_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    config = tmp_path / "config.toml"
    monkeypatch.setenv("LLMTOP_CONFIG", str(config))
    assert limits(argparse.Namespace(slo="")) == {}
    config.write_text('slo = "ttft=1s"\n', encoding="utf-8")
    assert limits(argparse.Namespace(slo="")) == {"ttft_seconds": 1.0}
    assert limits(argparse.Namespace(slo="itl=50ms")) == {"itl_seconds": 0.05}
    config.write_text("slo = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="slo: a text is needed"):
        limits(argparse.Namespace(slo=""))
