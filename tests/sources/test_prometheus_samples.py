"""Real and made pages of engines give the values that lie beside them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import Watch

from llmtop.store import Series

PLACE = next(
    (
        place for above in Path(__file__).resolve().parents
        if (place := above / "shared" / "samples" / "prometheus").is_dir()
    ), None,
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    PLACE is None, reason="shared/samples/prometheus does not lie beside this checkout"
)

_GROWS = "bucket|sum|count|total|us|success|failure|failed|succeeded"
_HISTORY = re.compile(rf"^(\S*?_(?:{_GROWS})(?:\{{.*\}})?) \S+$", re.MULTILINE)
"""Samples that only grow, by their names."""


def text_of(name: str) -> str:
    assert PLACE is not None
    return (PLACE / name).read_text(encoding="utf-8")


def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of("made/expected.json"))
    return found


def pair(engine: str, dt: float = 10.0) -> Watch:
    watch = Watch(seconds=dt)
    watch.page(text_of(f"made/{engine}/t0.txt"))
    watch.page(text_of(f"made/{engine}/t1.txt"))
    return watch


def since_start(name: str) -> Watch:
    """Watch a page whose counters were all zero before."""
    text = text_of(name)
    watch = Watch()
    watch.page(_HISTORY.sub(r"\1 0", text))
    watch.page(text)
    return watch


def ratio(watch: Watch, hits: str, of: str) -> float:
    return watch.grew(hits) / watch.grew(of)


def check(series: Series, want: dict[str, float]) -> None:
    found = series.quantiles([0.5, 0.9, 0.99])
    assert found.n == want["n"]
    assert found.mean == pytest.approx(want["mean"])
    assert found.values == pytest.approx([want["p50"], want["p90"], want["p99"]])
    assert found.method == "histogram"


def test_vllm_two_engines() -> None:
    want = expected()["vllm t0->t1 (dt=10s, both engines)"]
    watch = pair("vllm")
    assert watch.rate("prompt_tokens") == pytest.approx(want["prompt_tok_s"])
    assert watch.rate("generated_tokens") == pytest.approx(want["gen_tok_s"])
    assert watch.rate("errors") == pytest.approx(want["error_req_s(error)"])
    assert watch.rate("cancelled") == pytest.approx(want["abort_req_s"])
    served = watch.rate("requests")
    assert served == pytest.approx(want["finished_req_s"])
    assert watch.last("requests_running") == want["running"]
    assert watch.last("requests_waiting") == want["waiting"]
    assert watch.last("kv_cache_usage") == want["kv_usage_max"]
    assert watch.last("kv_cache_usage_mean") == want["kv_usage_mean"]
    hit = ratio(watch, "prefix_cache_hits", "prefix_cache_queries")
    assert hit == pytest.approx(want["prefix_hit_rate"])
    accepted = watch.grew("spec_decode_accepted_tokens")
    assert accepted / watch.grew("spec_decode_draft_tokens") == pytest.approx(
        want["spec_accept_rate"])
    assert 1 + accepted / watch.grew("spec_decode_drafts") == pytest.approx(
        want["spec_mean_accept_len"])
    assert watch.grew("preemptions") == pytest.approx(want["preemptions"])
    check(watch.series("ttft_seconds"), want["ttft"])
    check(watch.series("itl_seconds"), want["itl"])
    assert watch.run.tags["engine"] == "vLLM"
    assert watch.run.tags["model"] == "Qwen/Qwen3-8B"
    assert watch.run.name == "Qwen3-8B"
    assert watch.events == []


def test_vllm_restart() -> None:
    want = expected()["vllm t1->t2 (restart; reset rule: delta = new value)"]
    watch = pair("vllm")
    watch.page(text_of("made/vllm/t2.txt"))
    assert watch.grew("prompt_tokens") == pytest.approx(want["prompt_tokens_delta"])
    assert watch.grew("generated_tokens") == pytest.approx(want["gen_tokens_delta"])
    assert min(watch.series("prompt_tokens").window(99).value) >= 0
    assert any("RESTARTED" in text for text in watch.events)


@pytest.mark.parametrize("name", ["ray_vllm_colon", "ray_vllm_underscore"])
def test_vllm_under_ray(name: str) -> None:
    watch = since_start(f"made/ray/{name}.txt")
    assert watch.run.tags["engine"] == "vLLM"
    assert watch.grew("generated_tokens") == pytest.approx(11_500)
    assert watch.last("requests_running") == 12
    assert watch.series("ttft_seconds").quantiles([0.5]).n == 110


def test_sglang() -> None:
    want = expected()["sglang t0->t1 (dt=10s)"]
    watch = pair("sglang")
    assert watch.last("requests_running") == want["running"]
    assert watch.last("requests_waiting") == want["waiting"]
    assert watch.last("kv_cache_usage") == want["kv_usage"]
    assert watch.rate("generated_tokens") == pytest.approx(want["gen_tok_s_live(realtime decode)"])
    assert watch.rate("prefill_tokens") == pytest.approx(want["prefill_tok_s_live"])
    assert watch.rate("prompt_tokens") == pytest.approx(want["prompt_tok_s_finished_only"])
    hit = ratio(watch, "prefix_cache_hits", "prefix_cache_queries")
    assert hit == pytest.approx(want["prefix_hit_window"])
    assert watch.grew("preemptions") == pytest.approx(want["retractions"])
    check(watch.series("ttft_seconds"), want["ttft"])
    found = watch.series("ttft_seconds").quantiles([0.99])
    assert found.high is not None
    assert np.isposinf(found.high[0]), want["ttft_p99_note"]
    check(watch.series("itl_seconds"), want["itl"])
    assert watch.grew("errors") / 100 == pytest.approx(want["http_5xx_ratio"])


def test_the_sglang_router_counts_once() -> None:
    watch = since_start("made/sglang_router/t1.txt")
    assert watch.run.tags["engine"] == "SGLang"
    assert watch.last("requests_running") == 8
    assert watch.last("requests_waiting") == 6


def test_tensorrt_llm() -> None:
    want = expected()["trtllm since start"]
    watch = since_start("made/trtllm/t1.txt")
    check(watch.series("ttft_seconds"), want["ttft"])
    check(watch.series("tpot_seconds"), want["tpot"])
    accepted = ratio(watch, "spec_decode_accepted_tokens", "spec_decode_draft_tokens")
    assert accepted == pytest.approx(want["spec_accept_rate"])
    cached = ratio(watch, "prefix_cache_hits", "prefix_cache_queries")
    assert cached == pytest.approx(want["prefix_cached_share"])
    assert ratio(watch, "errors", "requests") == pytest.approx(want["error_ratio"])


def test_lmdeploy() -> None:
    want = expected()["lmdeploy"]
    watch = since_start("made/lmdeploy/t1.txt")
    assert watch.last("requests_waiting") == want["waiting_total"]
    assert watch.grew("errors") == pytest.approx(want["errors_gauge_cumulative"])
    check(watch.series("itl_seconds"), want["itl"])


def test_tgi() -> None:
    want = expected()["tgi t0->t1 (10s)"]
    watch = pair("tgi")
    assert watch.rate("requests") == pytest.approx(want["req_s"])
    assert watch.rate("errors") == pytest.approx(want["fail_s"])
    assert watch.rate("requests") - watch.rate("errors") == pytest.approx(want["ok_s"])
    assert watch.rate("prompt_tokens") == pytest.approx(want["prompt_tok_s(sum of input_length)"])
    assert watch.rate("generated_tokens") == pytest.approx(
        want["gen_tok_s(sum of generated_tokens)"])
    assert watch.last("requests_waiting") == want["waiting"]
    assert watch.last("requests_running") == want["running"]
    assert not watch.run.find("ttft_seconds")
    missing: Any = watch.run.tags["missing"]
    assert "time to first token" in missing["ttft_seconds"]


def test_llamacpp_whole_and_quoted() -> None:
    want = expected()["llamacpp t0->t1 (10s)"]
    for second in ("t1", "t1_quoted_bug"):
        watch = Watch()
        watch.page(text_of("made/llamacpp/t0.txt"))
        watch.page(text_of(f"made/llamacpp/{second}.txt"))
        assert watch.rate("prefill_tokens") == pytest.approx(want["prompt_tok_s"])
        # The engine's own counter leaves out what came from the cache.
        assert watch.rate("prompt_tokens") == pytest.approx(want["prompt_tok_s"] / 0.75)
        assert watch.rate("generated_tokens") == pytest.approx(want["gen_tok_s"])
        assert watch.last("itl_mean_seconds") == pytest.approx(want["mean_itl_s"])
        assert 1 / watch.last("prefill_mean_seconds_per_token") == pytest.approx(
            want["prefill_speed_tok_s(d_tokens/d_seconds)"])
        cached = ratio(watch, "prefix_cache_hits", "prefix_cache_queries")
        assert cached == pytest.approx(want["prefix_cached_share"])
        accepted = ratio(watch, "spec_decode_accepted_tokens", "spec_decode_draft_tokens")
        assert accepted == pytest.approx(want["spec_accept"])
        assert watch.last("requests_running") == want["running"]
        assert watch.last("requests_waiting") == want["waiting"]


def test_litellm() -> None:
    want = expected()["litellm"]
    watch = since_start("made/litellm/t1.txt")
    assert ratio(watch, "errors", "requests") == pytest.approx(want["error_ratio"])
    check(watch.series("ttft_seconds"), want["ttft"])


def test_dcgm() -> None:
    watch = since_start("made/dcgm/t1.txt")
    assert not [one for one in watch.run.series if "memory_temperature" in one.name], "sentinels"
    assert watch.last("gpu1/gpu_utilization") == 0
    assert watch.last("gpu1/gpu_last_xid") == 31
    assert watch.last("gpu2/gpu_last_xid") == 79
    assert watch.last("gpu2/gpu_temperature_celsius") == 88
    assert watch.last("gpu2/gpu_memory_used_bytes") == 80_900 * 2**20
    assert watch.last("gpu0/gpu_utilization") == pytest.approx(0.97)


REAL = {
    "vllm_qwen3.txt": {
        "ttft_seconds": (52916, 72.5845, {0.5: 27.4439, 0.95: 518.459, 0.99: 615.692}),
        "e2e_seconds": (52043, 75.825, {0.5: 30.138, 0.95: 379.901, 0.99: 459.98}),
        "itl_seconds": (2155457, 0.170179, {0.5: 0.176059, 0.99: 0.286723}),
        "tpot_seconds": (52043, 0.0572494, {}),
    },
    "vllm_kubeai_v0.txt": {
        "ttft_seconds": (9, 0.0567387, {0.5: 0.054, 0.99: 0.0794}),
        "itl_seconds": (2537, 0.0387665, {0.5: 0.0375893}),
    },
    "sglang_docs_llama31_8b.txt": {
        "ttft_seconds": (11008, 213.654, {0.5: 30.0, 0.95: 30.0, 0.99: 30.0}),
        "e2e_seconds": (None, 277.529, {0.5: 60.0, 0.99: 60.0}),
        "itl_seconds": (7400757, 0.117145, {0.5: 0.0930824, 0.95: 0.149791, 0.99: 0.632276}),
    },
}  # fmt: skip
"""Page -> series -> observations, mean and quantiles as its README names them."""


@pytest.mark.parametrize("name", REAL)
def test_real_pages(name: str) -> None:
    watch = since_start(name)
    for series, (n, mean, quantiles) in REAL[name].items():
        found = watch.series(series).quantiles(list(quantiles))
        assert n in (None, found.n)
        assert found.mean == pytest.approx(mean, rel=1e-4)
        assert found.values == pytest.approx(list(quantiles.values()), rel=1e-4)


def test_real_counters() -> None:
    watch = since_start("vllm_qwen3.txt")
    assert watch.grew("prompt_tokens") == pytest.approx(19045253)
    assert watch.grew("generated_tokens") == pytest.approx(6723875)
    assert watch.grew("prefix_cache_hits") == pytest.approx(5819712)
    assert watch.grew("prefix_cache_queries") == pytest.approx(19106864)
    assert watch.grew("spec_decode_accepted_tokens") == pytest.approx(4574989)
    assert watch.grew("spec_decode_draft_tokens") == pytest.approx(11501084)
    assert since_start("vllm_kubeai_v0.txt").last("requests_waiting") == 5
    overloaded = since_start("sglang_docs_llama31_8b.txt")
    assert overloaded.last("requests_running") == 162
    assert overloaded.last("requests_waiting") == 2826
    assert overloaded.last("kv_cache_usage") == pytest.approx(0.28)
    for series in ("ttft_seconds", "e2e_seconds"):
        high = overloaded.series(series).quantiles([0.5]).high
        assert high is not None
        assert np.isposinf(high).all()


def test_an_inconsistent_histogram_is_said_to_be_one() -> None:
    watch = since_start("vllm_llmprobe_live.txt")
    assert any("its buckets hold" in text for text in watch.events), watch.events


def test_triton_counts_microseconds() -> None:
    watch = since_start("triton_datadog_excerpt.txt")
    assert watch.last("e2e_mean_seconds") == pytest.approx(0.442655)


def test_no_page_breaks_anything() -> None:
    from llmtop.sources.scraping.exposition import NotMetricsError

    assert PLACE is not None
    for path in sorted(PLACE.rglob("*.txt")):
        watch = Watch()
        try:
            for _ in range(3):
                watch.page(path.read_text(encoding="utf-8"))
        except NotMetricsError:
            assert path.name == "html.txt"
