"""An OpenAI-compatible client, measured from outside: what its user waits for.

    client = watch(openai.OpenAI())

chat.completions.create, completions.create and responses.create, streaming and not, sync and
async. Arguments and results are the caller's and the library's own: a stream is the same object,
its chunks are only looked at as they pass. A chunk that carries output is an output event; tokens
are those of `usage` where the server tells it (stream_options={"include_usage": True}), else
chunks. Gaps between chunks of several choices (n > 1) are pooled.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from llmtop.integrations.target import Target
from llmtop.publish.request import Request, outcome_of
from llmtop.publish.run import Run

Client = TypeVar("Client")
RESOURCES = ("chat.completions", "completions", "responses")
RAW_HEADER = "X-Stainless-Raw-Response"
"""Set by with_raw_response and with_streaming_response, whose results nothing is known of."""
OUTPUT = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "audio")
"""Fields of a chat delta that carry what the model generated."""
PROMPT_TOKENS = ("prompt_tokens", "input_tokens")
GENERATED_TOKENS = ("completion_tokens", "output_tokens")
"""What `usage` calls them: of completions, of responses."""
RESPONSE_OUTCOMES = {
    "response.completed": "ok", "response.incomplete": "ok", "response.failed": "error",
    "error": "error",
}  # fmt: skip
"""Events of responses that end one."""


def watch(client: Client, run: Run | None = None) -> Client:
    """Measure the calls of `client` from now on, and return it.

    Args:
        client: An OpenAI, AsyncOpenAI or Azure client, or one with the same methods.
        run: Where to; None is the run that is open, or else one by the script's name.
    """
    target = Target(run, {"phase": "serve"})
    wrap = _async if hasattr(client, "__aenter__") else _sync
    for path in RESOURCES:
        resource: Any = client
        for part in path.split("."):
            resource = getattr(resource, part, None)
        create = getattr(resource, "create", None)
        if create is not None and not hasattr(create, "llmtop_target"):
            resource.create = wrap(create, target)
            resource.create.llmtop_target = target
    return client


def _sync(original: Callable[..., Any], target: Target) -> Any:
    @functools.wraps(original)
    def create(*args: Any, **kwargs: Any) -> Any:
        if is_raw(kwargs):
            return original(*args, **kwargs)
        request = target.run().request()
        try:
            result = original(*args, **kwargs)
        except BaseException as error:  # a cancellation is an outcome, too
            request.end(outcome_of(error))
            raise
        return measured(result, request)

    return create


def _async(original: Callable[..., Any], target: Target) -> Any:
    @functools.wraps(original)
    async def create(*args: Any, **kwargs: Any) -> Any:
        if is_raw(kwargs):
            return await original(*args, **kwargs)
        request = target.run().request()
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:  # a cancellation is an outcome, too
            request.end(outcome_of(error))
            raise
        return measured(result, request)

    return create


def is_raw(kwargs: dict[str, Any]) -> bool:
    """Return whether the caller asked for the HTTP response instead of its content."""
    return RAW_HEADER in (kwargs.get("extra_headers") or {})


def measured(result: Any, request: Request) -> Any:
    """Return `result`; a stream reports to `request` when it is read, the rest has ended it."""
    seen = Seen(request)
    iterator = getattr(result, "_iterator", None)
    if iterator is None:
        seen.read_usage(result)
        request.end("error" if getattr(result, "status", None) == "failed" else "ok")
        return result
    # The stream asks its iterator for every chunk, so that the stream can stay what it is.
    if hasattr(iterator, "__anext__"):
        result._iterator = _passing_async(iterator, seen)
        result.close = _closing_async(result.close, seen)
    else:
        result._iterator = _passing(iterator, seen)
        result.close = _closing(result.close, seen)
    return result


class Seen:
    """What has passed of one stream."""

    def __init__(self, request: Request) -> None:
        """Report to `request`."""
        self.request = request
        self._ended = ""

    def look(self, chunk: Any) -> None:
        """Look at one chunk on its way to the caller."""
        # The stream is the caller's: what cannot be read of it is not measured.
        with suppress(Exception):
            self.read(chunk)

    def read(self, chunk: Any) -> None:
        """Take over what one chunk, or event of a response, says."""
        kind = getattr(chunk, "type", None)
        if isinstance(kind, str):
            if kind.endswith(".delta") and getattr(chunk, "delta", None):
                self.request.token()
            self._ended = RESPONSE_OUTCOMES.get(kind, self._ended)
            self.read_usage(getattr(chunk, "response", None))
            return
        choices = getattr(chunk, "choices", None) or ()
        if any(has_output(choice) for choice in choices):
            self.request.token()
        if any(getattr(choice, "finish_reason", None) for choice in choices):
            self._ended = "ok"
        self.read_usage(chunk)

    def read_usage(self, result: Any) -> None:
        """Take over the tokens that a server says it has used."""
        usage = getattr(result, "usage", None)
        if usage is not None:
            self.request.usage(first_of(usage, PROMPT_TOKENS), first_of(usage, GENERATED_TOKENS))

    def outcome(self, error: BaseException | None) -> str:
        """Return how it ended; who leaves after the last chunk has cancelled nothing."""
        if error is not None and outcome_of(error) == "error":
            return "error"
        return self._ended or outcome_of(error)

    def end(self, error: BaseException | None) -> None:
        """End the request, if it has not ended before."""
        self.request.end(self.outcome(error))


def has_output(choice: Any) -> bool:
    """Return whether one choice of a chunk carries anything the model generated."""
    delta = getattr(choice, "delta", None)
    if delta is None:
        return bool(getattr(choice, "text", None))
    return any(getattr(delta, field, None) for field in OUTPUT)


def first_of(usage: Any, names: tuple[str, ...]) -> Any:
    """Return the first of the named fields that is there, None if there is none."""
    found = (getattr(usage, name, None) for name in names)
    return next((value for value in found if value is not None), None)


def _passing(iterator: Iterator[Any], seen: Seen) -> Iterator[Any]:
    try:
        for chunk in iterator:
            seen.look(chunk)
            yield chunk
    except BaseException as error:  # so is a reader that leaves
        seen.end(error)
        raise
    seen.end(None)


async def _passing_async(iterator: AsyncIterator[Any], seen: Seen) -> AsyncIterator[Any]:
    try:
        async for chunk in iterator:
            seen.look(chunk)
            yield chunk
    except BaseException as error:  # so is a reader that leaves
        seen.end(error)
        raise
    seen.end(None)


def _closing(close: Callable[[], None], seen: Seen) -> Callable[[], None]:
    @functools.wraps(close)
    def closing() -> None:
        seen.end(GeneratorExit())
        close()

    return closing


def _closing_async(close: Callable[[], Any], seen: Seen) -> Callable[[], Any]:
    @functools.wraps(close)
    async def closing() -> None:
        seen.end(GeneratorExit())
        await close()

    return closing
