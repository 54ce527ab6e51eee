"""The real openai package against a small server: what is measured is what its user waits for."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

openai = pytest.importorskip("openai", reason="needs the frameworks extra")

PAUSE = 0.02
WORDS = ("", "one", "two", "three")
"""Deltas of a stream: the first one only says the role."""
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *values: Any) -> None:
        return None

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] == "broken":
            self._whole(500, {"error": {"message": "no"}})
        elif not asked.get("stream"):
            self._whole(200, self._answer())
        else:
            self._stream(asked)

    def _answer(self) -> dict[str, Any]:
        if self.path.endswith("/responses"):
            usage = {"input_tokens": 11, "output_tokens": 5, "total_tokens": 16}
            return {"id": "r", "object": "response", "status": "completed", "output": [],
                    "usage": usage, "model": "m"}  # fmt: skip
        return {"id": "c", "object": "chat.completion", "model": "m", "usage": USAGE, "choices": []}

    def _whole(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunks(self, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self.path.endswith("/responses"):
            for word in WORDS[1:]:
                yield {"type": "response.output_text.delta", "delta": word}
            yield {"type": "response.completed", "response": self._answer()}
            return
        chat = "chat" in self.path
        for word in WORDS:
            part = {"delta": {"role": "assistant", "content": word}} if chat else {"text": word}
            yield {"id": "c", "choices": [{"index": 0, "finish_reason": None, **part}]}
        last = {"delta": {}} if chat else {"text": ""}
        yield {"id": "c", "choices": [{"index": 0, "finish_reason": "stop", **last}]}
        if asked.get("stream_options"):
            yield {"id": "c", "choices": [], "usage": USAGE}

    def _stream(self, asked: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            for chunk in self._chunks(asked):
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()
                time.sleep(PAUSE)
                if asked["model"] == "breaks" and "one" in json.dumps(chunk):
                    self.wfile.write(b'data: {"error": {"message": "gone"}}\n\n')
                    return
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return
        finally:
            self.close_connection = True


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture
def heard_of(server: str, told: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives a watched client to `work` and returns what was measured."""

    def hear(work: Callable[[Any], Any], asynchronous: bool = False) -> Any:
        import llmtop
        from llmtop.integrations.openai import watch

        def run() -> None:
            options = {"base_url": server, "api_key": "none", "max_retries": 0}
            measured = llmtop.init("client", phase="serve")
            if asynchronous:

                async def main() -> None:
                    async with openai.AsyncOpenAI(**options) as client:
                        assert watch(watch(client)) is client
                        await work(client)

                asyncio.run(main())
            else:
                with openai.OpenAI(**options) as client:
                    assert watch(watch(client)) is client
                    work(client)
            measured.finish()

        return told(run)

    return hear


CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def check_streamed(heard: Any, tokens: float, prompt: list[float]) -> None:
    assert heard.values("requests") == [1.0]
    assert heard.values("errors") == heard.values("cancelled") == []
    assert len(heard.values("ttft_seconds")) == 1
    assert len(heard.values("itl_seconds")) == 2
    assert sum(heard.values("generated_tokens")) == tokens
    assert heard.values("prompt_tokens") == prompt
    ttft, e2e = heard.values("ttft_seconds")[0], heard.values("e2e_seconds")[0]
    gaps = sum(heard.values("itl_seconds"))
    assert 0 < ttft < ttft + gaps < e2e
    assert heard.values("tpot_seconds") == [pytest.approx(gaps / (tokens - 1))]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("usage", [False, True])
def test_a_streamed_chat(heard_of: Callable[..., Any], asynchronous: bool, usage: bool) -> None:
    asked = {**CHAT, "stream": True}
    if usage:
        asked["stream_options"] = {"include_usage": True}

    def check(stream: Any, texts: list[str | None]) -> None:
        assert type(stream) is (openai.AsyncStream if asynchronous else openai.Stream)
        assert texts == [*WORDS, None]

    def work(client: Any) -> None:
        stream = client.chat.completions.create(**asked)
        check(stream, [chunk.choices[0].delta.content for chunk in stream if chunk.choices])

    async def work_async(client: Any) -> None:
        stream = await client.chat.completions.create(**asked)
        check(stream, [one.choices[0].delta.content async for one in stream if one.choices])

    heard = heard_of(work_async if asynchronous else work, asynchronous)
    check_streamed(heard, 5 if usage else 3, [11.0] if usage else [])


def test_streamed_completions_and_responses(heard_of: Callable[..., Any]) -> None:
    heard = heard_of(lambda c: list(c.completions.create(model="m", prompt="x", stream=True)))
    check_streamed(heard, 3, [])


def test_streamed_responses(heard_of: Callable[..., Any]) -> None:
    heard = heard_of(lambda c: list(c.responses.create(model="m", input="x", stream=True)))
    check_streamed(heard, 5, [11.0])


@pytest.mark.parametrize("asynchronous", [False, True])
def test_whole_answers_have_no_first_token(
    heard_of: Callable[..., Any], asynchronous: bool
) -> None:
    def work(client: Any) -> None:
        assert client.chat.completions.create(**CHAT).usage.completion_tokens == 5
        assert client.responses.create(model="m", input="x").usage.output_tokens == 5

    async def work_async(client: Any) -> None:
        assert (await client.chat.completions.create(**CHAT)).usage.completion_tokens == 5
        assert (await client.responses.create(model="m", input="x")).usage.output_tokens == 5

    heard = heard_of(work_async if asynchronous else work, asynchronous)
    assert len(heard.values("e2e_seconds")) == 2
    assert heard.values("ttft_seconds") == []
    assert heard.values("generated_tokens") == [5.0, 5.0]
    assert heard.values("prompt_tokens") == [11.0, 11.0]


@pytest.mark.parametrize("way", ["close", "block", "drop", "after the end"])
def test_leaving_a_stream_early(heard_of: Callable[..., Any], way: str) -> None:
    def work(client: Any) -> None:
        stream = client.chat.completions.create(**CHAT, stream=True)
        if way == "after the end":
            next(one for one in stream if one.choices[0].finish_reason)
            stream.close()
        elif way == "close":
            next(stream)
            stream.close()
        elif way == "block":
            with stream:
                next(stream)
        else:
            next(stream)
            del stream
            gc.collect()

    heard = heard_of(work)
    assert heard.values("requests") == [1.0]
    assert len(heard.values("cancelled")) == (way != "after the end")
    assert heard.values("requests_running")[-1] == 0.0


@pytest.mark.parametrize("asynchronous", [False, True])
def test_errors_pass_and_are_counted(heard_of: Callable[..., Any], asynchronous: bool) -> None:
    def work(client: Any) -> None:
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**{**CHAT, "model": "broken"})
        stream = client.chat.completions.create(**{**CHAT, "model": "breaks"}, stream=True)
        with pytest.raises(openai.APIError, match="gone"):
            list(stream)

    async def work_async(client: Any) -> None:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(**{**CHAT, "model": "broken"})
        stream = await client.chat.completions.create(**{**CHAT, "model": "breaks"}, stream=True)
        with pytest.raises(openai.APIError, match="gone"):
            _ = [one async for one in stream]

    heard = heard_of(work_async if asynchronous else work, asynchronous)
    assert sum(heard.values("errors")) == sum(heard.values("requests")) == 2
    assert heard.values("e2e_seconds") == []


def test_a_raw_response_is_left_alone(heard_of: Callable[..., Any]) -> None:
    def work(client: Any) -> None:
        raw = client.chat.completions.with_raw_response.create(**CHAT)
        assert raw.parse().usage.completion_tokens == 5

    assert heard_of(work).values("requests") == []
