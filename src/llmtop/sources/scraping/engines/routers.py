"""What stands before engines: NVIDIA Dynamo, LiteLLM, llm-d's endpoint picker, Ray Serve.

They count the requests that their engines count too, so each is a run of its own and nothing is
added over both.
"""

from __future__ import annotations

from llmtop.sources.scraping.engines.base import Engine, counter, gauge, histogram, mean, share

DYNAMO = Engine(
    "Dynamo", ("dynamo_frontend_",),
    (
        histogram("ttft_seconds", "time_to_first_token_seconds"),
        histogram("itl_seconds", "inter_token_latency_seconds"),
        histogram("e2e_seconds", "request_duration_seconds"),
        counter("prompt_tokens", "input_sequence_tokens_sum"),
        counter("generated_tokens", "output_tokens", "output_sequence_tokens_sum"),
        counter("requests", "requests"),
        counter("errors", "requests{status=error,error_type=(?!cancelled).*}"),
        counter("cancelled", "requests{error_type=cancelled}"),
        gauge("requests_running", "inflight_requests", "active_requests"),
        gauge("requests_waiting", "queued_requests"),
        counter("prefix_cache_hits", "cached_tokens_sum"),
        counter("prefix_cache_queries", "input_sequence_tokens_sum"),
    ),
    lacks={"kv_cache_usage": "the frontend has no KV cache; its workers' pages tell",
           "tpot_seconds": "Dynamo's frontend tells the gaps between tokens, not TPOT"},
)  # fmt: skip

DYNAMO_WORKER = Engine(
    "Dynamo worker", ("dynamo_component_",),
    (
        histogram("e2e_seconds", "request_duration_seconds"),
        counter("requests", "requests"),
        counter("errors", "errors"),
        gauge("requests_running", "inflight_requests"),
        share("kv_cache_usage", "gpu_cache_usage_percent", "kvstats_gpu_cache_usage_percent"),
        share("prefix_cache_hit_rate", "kv_cache_hit_rate", "kvstats_gpu_prefix_cache_hit_rate",
              how="mean"),
    ),
)  # fmt: skip

LITELLM = Engine(
    "LiteLLM", ("litellm_",),
    (
        histogram("ttft_seconds", "llm_api_time_to_first_token_metric"),
        histogram("e2e_seconds", "request_total_latency_metric"),
        histogram("queue_seconds", "request_queue_time_seconds"),
        counter("prompt_tokens", "input_tokens_metric"),
        counter("generated_tokens", "output_tokens_metric"),
        counter("requests", "proxy_total_requests_metric"),
        counter("errors", "proxy_failed_requests_metric"),
        gauge("requests_running", "in_flight_requests"),
        counter("prefix_cache_hits", "input_cached_tokens_metric"),
        counter("prefix_cache_queries", "input_tokens_metric"),
    ),
    model_labels=("requested_model", "model"),
    lacks={
        "itl_seconds": "LiteLLM tells no gaps between tokens",
        "tpot_seconds": "LiteLLM's latency per output token holds the time to the first",
        "kv_cache_usage": "LiteLLM is a proxy: its engines have the KV cache",
        "requests_waiting": "LiteLLM tells no queue",
        "preemptions": "LiteLLM is a proxy: its engines preempt",
    },
)  # fmt: skip

LLM_D = Engine(
    "llm-d", ("llm_d_epp_", "llm_d_router_epp_", "llm_d_inference_scheduler_",
              "inference_objective_", "inference_extension_", "inference_pool_"),
    (
        histogram("ttft_seconds", "request_ttft_seconds{streaming=true}", "request_ttft_seconds"),
        histogram("itl_seconds", "request_streaming_itl_seconds"),
        histogram("tpot_seconds", "request_streaming_tpot_seconds"),
        histogram("e2e_seconds", "request_duration_seconds"),
        histogram("queue_seconds", "flow_control_request_queue_duration_seconds"),
        counter("prompt_tokens", "request_input_tokens_sum", "input_tokens_sum"),
        counter("generated_tokens", "request_output_tokens_sum", "output_tokens_sum"),
        counter("requests", "request"),
        counter("errors", "request_error"),
        gauge("requests_running", "request_running", "running_requests"),
        gauge("requests_waiting", "flow_control_queue_size"),
        share("kv_cache_usage", "average_kv_cache_utilization"),
        mean("prefix_cache_hit_rate", "prefix_indexer_hit_ratio_sum",
             "prefix_indexer_hit_ratio_count"),
        gauge("ready_endpoints", "ready_endpoints", "ready_pods"),
    ),
    model_labels=("model_name", "target_model_name", "model"),
)  # fmt: skip

RAY_SERVE = Engine(
    "Ray Serve", ("ray_serve_", "serve_"),
    (
        histogram("e2e_seconds", "http_request_latency_ms", "deployment_processing_latency_ms",
                  scale=1e-3),
        counter("requests", "num_http_requests", "deployment_request_counter"),
        counter("errors", "num_http_error_requests", "deployment_error_counter"),
        gauge("requests_running", "num_ongoing_http_requests", "replica_processing_queries"),
        gauge("requests_waiting", "deployment_queued_queries"),
    ),
    bare=("ray_serve_num_http_requests_total",),
    model_labels=("application",),
)  # fmt: skip
