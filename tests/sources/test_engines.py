"""What engines call their numbers lands under the vocabulary's names, however old the engine is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pages import Watch, histogram, sample

from llmtop.metrics import BY_NAME, find
from llmtop.sources.scraping.engines import ENGINES
from llmtop.sources.scraping.settings import Settings

ONE = 'model_name="m",engine="0"'
TWO = 'model_name="m",engine="1"'


def watch(first: str, second: str, **settings: Any) -> Watch:
    found = Watch(settings=Settings(interval=10.0, **settings))
    found.page(first)
    found.page(second)
    return found


def test_every_rule_names_a_metric_of_the_vocabulary() -> None:
    for engine in ENGINES:
        for rule in engine.rules:
            name = rule.metric.replace("*", "0")
            known = BY_NAME.get(name) or find(name)
            assert known or "gpu_last_xid" in name, f"{engine.name}: {name}"
            if known and rule.kind in ("counter", "histogram"):
                kind = {"counter": "counter", "histogram": "distribution"}[rule.kind]
                assert known.kind == kind, f"{engine.name}: {name}"


@pytest.mark.parametrize(("old", "metric"), [
    ("vllm:gpu_cache_usage_perc", "kv_cache_usage"),
    ("vllm:kv_cache_usage_perc", "kv_cache_usage"),
    ("vllm_kv_cache_usage_perc", "kv_cache_usage"),
    ("ray_vllm:kv_cache_usage_perc", "kv_cache_usage"),
    ("sglang:token_usage", "kv_cache_usage"), ("sglang_token_usage", "kv_cache_usage"),
    ("sglang:num_running_reqs", "requests_running"),
    ("trtllm_kv_cache_utilization", "kv_cache_usage"),
    ("lmdeploy:gpu_cache_usage_perc", "kv_cache_usage"),
    ("tgi_queue_size", "requests_waiting"), ("te_queue_size", "requests_waiting"),
    ("sglang:avg_request_queue_latency", "queue_mean_seconds"),
    ("llamacpp:requests_deferred", "requests_waiting"),
    ("dynamo_frontend_queued_requests", "requests_waiting"),
    ("dynamo_component_gpu_cache_usage_percent", "kv_cache_usage"),
    ("litellm_in_flight_requests", "requests_running"),
    ("llm_d_epp_request_running", "requests_running"),
    ("ray_serve_num_ongoing_http_requests", "requests_running"),
])  # fmt: skip
def test_gauges_by_old_and_new_names(old: str, metric: str) -> None:
    found = Watch()
    found.page(sample(old, 0.5))
    assert found.last(metric) == 0.5


@pytest.mark.parametrize(("name", "metric"), [
    ("vllm:inter_token_latency_seconds", "itl_seconds"),
    ("vllm:time_per_output_token_seconds", "itl_seconds"),
    ("vllm:request_time_per_output_token_seconds", "tpot_seconds"),
    ("sglang:time_to_first_token_seconds", "ttft_seconds"),
    ("trtllm_time_per_output_token_seconds", "tpot_seconds"),
    ("tgi_request_mean_time_per_token_duration", "tpot_seconds"),
    ("te_request_duration", "e2e_seconds"), ("te_request_queue_duration", "queue_seconds"),
    ("dynamo_frontend_request_duration_seconds", "e2e_seconds"),
    ("litellm_request_total_latency_metric", "e2e_seconds"),
    ("llm_d_epp_request_ttft_seconds", "ttft_seconds"),
])  # fmt: skip
def test_histograms_by_old_and_new_names(name: str, metric: str) -> None:
    found = watch(histogram(name, [0, 0, 0, 0, 0], 0), histogram(name, [0, 200, 0, 0, 0], 60))
    quantiles = found.series(metric).quantiles([0.5])
    assert quantiles.n == 200
    assert quantiles.values[0] == pytest.approx(0.3)
    assert quantiles.mean == pytest.approx(0.3)


def test_a_new_name_is_preferred_to_the_old_one_on_the_same_page() -> None:
    both = histogram("vllm:inter_token_latency_seconds", [0, 0, 10, 0, 0], 7) + histogram(
        "vllm:time_per_output_token_seconds", [10, 0, 0, 0, 0], 0.5)
    zero = histogram("vllm:inter_token_latency_seconds", [0] * 5, 0) + histogram(
        "vllm:time_per_output_token_seconds", [0] * 5, 0)
    assert watch(zero, both).series("itl_seconds").quantiles([0.5]).values[0] > 0.5


def test_engines_of_one_server_add_up_and_the_fullest_cache_counts() -> None:
    def page(tokens: float) -> str:
        return "".join((
            sample("vllm:num_requests_running", 4, ONE),
            sample("vllm:num_requests_running", 8, TWO),
            sample("vllm:kv_cache_usage_perc", 0.97, ONE),
            sample("vllm:kv_cache_usage_perc", 0.5, TWO),
            sample("vllm:generation_tokens_total", tokens, ONE),
            sample("vllm:generation_tokens_total", 3 * tokens, TWO),
        ))

    found = watch(page(100), page(200))
    assert found.last("requests_running") == 12
    assert found.last("kv_cache_usage") == 0.97
    assert found.last("kv_cache_usage_mean") == pytest.approx(0.735)
    assert found.rate("generated_tokens") == pytest.approx(40)


def test_histograms_of_several_engines_add_up_bound_by_bound() -> None:
    name = "vllm:time_to_first_token_seconds"
    zero = histogram(name, [0] * 5, 0, ONE) + histogram(name, [0] * 5, 0, TWO)
    later = histogram(name, [50, 0, 0, 0, 0], 2, ONE) + histogram(name, [0, 0, 0, 50, 0], 150, TWO)
    found = watch(zero, later).series("ttft_seconds").quantiles([0.25, 0.75])
    assert found.n == 100
    assert found.values[0] < 0.1
    assert 1.0 < found.values[1] < 5.0


def test_priorities_and_tensor_ranks_of_sglang_count_once() -> None:
    page = "".join(
        sample("sglang:num_running_reqs", value, f'tp_rank="{rank}",priority="{priority}"')
        for rank in (0, 1) for priority, value in (("", 8), ("0", 5), ("1", 3))
    )
    found = Watch()
    found.page(page)
    assert found.last("requests_running") == 8


def test_prefill_and_decode_workers_stay_apart() -> None:
    page = sample("sglang:num_running_reqs", 3, 'engine_type="prefill"') + sample(
        "sglang:num_running_reqs", 9, 'engine_type="decode"')
    found = Watch()
    found.page(page)
    roles = {run.name: run.find("requests_running")[0].last for run in found.store.runs}
    assert sorted(roles) == ["box:8000 decode", "box:8000 prefill"]
    assert {last.value for last in roles.values() if last} == {3, 9}


def test_several_engines_on_one_page_are_runs_of_their_own() -> None:
    found = Watch()
    found.page(sample("vllm:num_requests_running", 3, 'model_name="m"')
               + sample("dynamo_component_inflight_requests", 4))
    assert {run.tags["engine"] for run in found.store.runs} == {"vLLM", "Dynamo worker"}


def test_legacy_twins_of_llm_d_are_counted_once() -> None:
    def page(n: float) -> str:
        return sample("llm_d_epp_request_total", n) + sample("inference_objective_request_total", n)

    assert watch(page(0), page(50)).grew("requests") == pytest.approx(50)


@pytest.mark.parametrize("prefix", ["llm_d_epp_", "llm_d_router_epp_", "inference_extension_"])
def test_the_prefix_hits_of_llm_d_are_the_mean_of_its_lookups(prefix: str) -> None:
    name = f"{prefix}prefix_indexer_hit_ratio"
    found = watch(histogram(name, [5, 0, 0, 0, 0], 0), histogram(name, [5, 0, 10, 0, 0], 6))
    assert found.run.tags["engine"] == "llm-d"
    assert found.last("prefix_cache_hit_rate") == pytest.approx(0.6)


def test_failures_of_an_embedding_server_are_errors_unless_the_client_left() -> None:
    def page(n: int) -> str:
        return (sample("te_request_count", 100 * n, 'method="batch"')
                + sample("te_request_failure", 5 * n, 'err="overloaded"')
                + sample("te_request_failure", 2 * n, 'err="dropped"')
                + histogram("te_request_input_length", [0, 0, 0, n, 0], 40 * n))

    found = watch(page(0), page(1))
    assert {name: found.grew(name) for name in ("requests", "errors", "cancelled",
                                                "prompt_tokens")} == {
        "requests": 100, "errors": 5, "cancelled": 2, "prompt_tokens": 40}
    assert "no tokens" in found.run.tags["missing"]["itl_seconds"]


def test_a_sentinel_is_no_value() -> None:
    found = Watch()
    found.page(sample("vllm:gpu_prefix_cache_hit_rate", -1)
               + sample("vllm:num_requests_running", 1))
    assert not found.run.find("prefix_cache_hit_rate")


def test_models_version_and_settings_are_told() -> None:
    found = Watch()
    found.page(sample("vllm:num_requests_running", 1, 'model_name="org/Tiny-1B"')
               + sample("vllm:cache_config_info", 1, 'block_size="16",num_gpu_blocks="8192"')
               + sample("vllm:build_info", 1, 'version="0.33.0"'))
    tags: Any = found.run.tags
    assert found.run.name == "Tiny-1B"
    assert (tags["engine"], tags["model"], tags["version"]) == ("vLLM", "org/Tiny-1B", "0.33.0")
    assert tags["config"]["block_size"] == "16"


def test_many_models_are_one_run_that_adds_them_up() -> None:
    found = Watch()
    found.page("".join(sample("vllm:num_requests_waiting", n, f'model_name="m{n}"')
                       for n in range(1, 6)))
    assert found.last("requests_waiting") == 15
    assert found.run.tags["model"] == "m1, m2, m3 and 2 more"


def test_what_is_missing_is_told_with_the_nearest_name() -> None:
    found = Watch()
    found.page(sample("vllm:num_requests_running", 1)
               + histogram("vllm:time_to_first_tok_seconds", [1, 0, 0, 0, 0], 1))
    missing: Any = found.run.tags["missing"]
    assert missing["ttft_seconds"] == (
        "time_to_first_token_seconds not found, nearest is time_to_first_tok_seconds")


def test_any_exporter_can_be_charted_by_name() -> None:
    def page(n: float) -> str:
        return (sample("queue_depth", n, 'shard="a"', "gauge")
                + sample("queue_depth", 2, 'shard="b"')
                + sample("jobs_total", 10 * n, "", "counter") + sample("unwanted", 1)
                + histogram("wait_seconds", [n, n, 0, 0, 0], n))

    patterns = (re.compile("queue|jobs"), re.compile("^wait"))
    found = watch(page(0), page(7), metrics=patterns)
    series = {one.name: one for run in found.store.runs for one in run.series}
    assert set(series) == {
        "queue_depth{shard=a}", "queue_depth{shard=b}", "jobs_total", "wait_seconds",
    }  # fmt: skip
    last = series["queue_depth{shard=a}"].last
    assert last is not None
    assert last.value == 7
    assert series["jobs_total"].kind == "counter"
    assert series["jobs_total"].sum == 70
    assert series["wait_seconds"].quantiles([0.5]).n == 14
