"""A handler of the standard library's logging."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from llmtop.integrations.logging import LlmtopHandler


def test_numbers_become_samples_and_warnings_events(told: Callable[..., Any]) -> None:
    def work() -> None:
        import llmtop

        run = llmtop.init("logged")
        log = logging.Logger("trainer")
        log.addHandler(LlmtopHandler())
        log.info("plain")
        log.info("trained", extra={"step": 3, "loss": 0.5, "who": "me", "flag": True})
        log.info("trained", extra={"metrics": {"step": 4, "loss": math.nan, "nested": {"a": 1}}})
        log.info("trained", extra={"loss": 0.25})
        log.warning("%d skipped", 2, extra={"loss": 0.125})
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("failed")
        run.finish()

    heard = told(work)
    assert heard.points("loss")[0] == (3, 0.5)
    assert math.isnan(heard.points("loss")[1][1])
    assert heard.points("loss")[2:] == [(5, 0.25), (6, 0.125)]
    assert heard.points("nested/a") == [(4, 1.0)]
    assert set(heard.meta) == {"llmtop/dropped", "llmtop/overflow", "loss", "nested/a"}
    assert heard.texts("warning") == ["trainer: 2 skipped"]
    assert heard.texts("error") == ["trainer: failed"]
    assert heard.texts("info") == []


def test_a_broken_record_is_the_hosts_to_tell(told: Callable[..., Any], capsys: Any) -> None:
    def work() -> None:
        import llmtop

        run = llmtop.init("logged")
        log = logging.Logger("x")
        log.addHandler(LlmtopHandler(run))
        log.error("%d", "no number")
        log.error("fine")
        run.finish()

    assert told(work).texts("error") == ["x: fine"]
    assert "Logging error" in capsys.readouterr().err
