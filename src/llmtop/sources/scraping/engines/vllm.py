"""vLLM from 0.6 (V0) to V1, LMDeploy with its like names, and TensorRT-LLM's trtllm-serve.

vLLM's inter-token latency is an interval between output events, whatever number of tokens one
carries; `request_success` holds aborted and failed requests too.
"""

from __future__ import annotations

from llmtop.sources.scraping.engines.base import Engine, counter, gauge, histogram, share

_LATENCIES = (
    histogram("ttft_seconds", "time_to_first_token_seconds"),
    histogram("e2e_seconds", "e2e_request_latency_seconds"),
    histogram("prefill_seconds", "request_prefill_time_seconds"),
    histogram("decode_seconds", "request_decode_time_seconds"),
)
_SPECULATION = (
    counter("spec_decode_accepted_tokens", "spec_decode_num_accepted_tokens"),
    counter("spec_decode_draft_tokens", "spec_decode_num_draft_tokens"),
    counter("spec_decode_drafts", "spec_decode_num_drafts"),
)

VLLM = Engine(
    "vLLM", ("vllm:", "vllm_"),
    (
        *_LATENCIES,
        histogram("itl_seconds", "inter_token_latency_seconds", "time_per_output_token_seconds"),
        histogram("tpot_seconds", "request_time_per_output_token_seconds"),
        histogram("queue_seconds", "request_queue_time_seconds", "time_in_queue_requests"),
        counter("prompt_tokens", "prompt_tokens"),
        counter("prefill_tokens", "prompt_tokens_by_source{source=local_compute}"),
        counter("generated_tokens", "generation_tokens"),
        counter("requests", "request_success"),
        counter("errors", "request_success{finished_reason=error}"),
        counter("cancelled", "request_success{finished_reason=abort}"),
        counter("requests_rejected", "admission_rejections"),
        counter("preemptions", "num_preemptions"),
        gauge("requests_running", "num_requests_running"),
        gauge("requests_waiting", "num_requests_waiting"),
        gauge("requests_swapped", "num_requests_swapped"),
        share("kv_cache_usage", "kv_cache_usage_perc", "gpu_cache_usage_perc"),
        counter("prefix_cache_hits", "prefix_cache_hits", "gpu_prefix_cache_hits"),
        counter("prefix_cache_queries", "prefix_cache_queries", "gpu_prefix_cache_queries"),
        share("prefix_cache_hit_rate", "gpu_prefix_cache_hit_rate", how="mean"),
        *_SPECULATION,
        share("spec_decode_acceptance", "spec_decode_draft_acceptance_rate", how="mean"),
    ),
)  # fmt: skip

LMDEPLOY = Engine(
    "LMDeploy", ("lmdeploy:", "lmdeploy_"),
    (
        *_LATENCIES,
        histogram("itl_seconds", "time_per_output_token_seconds", "iter_token_latency"),
        histogram("queue_seconds", "request_queue_time_seconds"),
        counter("prompt_tokens", "prompt_tokens"),
        counter("generated_tokens", "generation_tokens"),
        # Declared as gauges, and counts since the start all the same.
        counter("requests", "num_requests_succeeded + num_requests_failed"),
        counter("errors", "num_requests_failed"),
        gauge("requests_running", "num_requests_running"),
        gauge("requests_waiting", "num_requests_waiting + num_api_requests_waiting"),
        share("kv_cache_usage", "gpu_cache_usage_perc"),
        share("prefix_cache_hit_rate", "prefix_cache_hit_rate", how="mean"),
        *_SPECULATION,
    ),
    lacks={"tpot_seconds": "LMDeploy tells no time per output token",
           "preemptions": "LMDeploy does not count preemptions"},
)  # fmt: skip

TENSORRT_LLM = Engine(
    "TensorRT-LLM", ("trtllm_", "trtllm:"),
    (
        *_LATENCIES,
        histogram("tpot_seconds", "time_per_output_token_seconds"),
        histogram("queue_seconds", "request_queue_time_seconds"),
        counter("prompt_tokens", "prompt_tokens"),
        counter("generated_tokens", "generation_tokens"),
        counter("requests", "request_success + request_error"),
        counter("errors", "request_error"),
        gauge("requests_running", "num_requests_running"),
        gauge("requests_waiting", "num_requests_waiting"),
        gauge("requests_paused", "num_paused_requests"),
        share("kv_cache_usage", "kv_cache_utilization"),
        counter("prefix_cache_hits", "prompt_cached_tokens"),
        counter("prefix_cache_queries", "prompt_tokens"),
        share("prefix_cache_hit_rate", "kv_cache_hit_rate", how="mean"),
        *_SPECULATION,
    ),
    bare=("time_to_first_token_seconds_bucket", "e2e_request_latency_seconds_bucket"),
    lacks={"itl_seconds": "trtllm-serve tells TPOT, not the gaps between tokens",
           "preemptions": "trtllm-serve does not count preemptions"},
)  # fmt: skip
