"""Text Generation and Text Embeddings Inference, llama.cpp's server, Triton with TensorRT-LLM.

llama.cpp's gauges of speed are averages since whoever looked last, so only its counters are read.
Triton counts microseconds; what it has no histogram of, has a mean only.
"""

from __future__ import annotations

from llmtop.sources.scraping.engines.base import Engine, counter, gauge, histogram, mean, share

MICROSECOND, MILLISECOND = 1e-6, 1e-3

TGI = Engine(
    "TGI", ("tgi_",),
    (
        histogram("e2e_seconds", "request_duration"),
        histogram("tpot_seconds", "request_mean_time_per_token_duration"),
        histogram("queue_seconds", "request_queue_duration"),
        counter("prompt_tokens", "request_input_length_sum"),
        counter("generated_tokens", "request_generated_tokens_sum"),
        counter("requests", "request_count"),
        counter("errors", "request_failure"),
        gauge("requests_running", "batch_current_size"),
        gauge("requests_waiting", "queue_size"),
    ),
    lacks={
        "ttft_seconds": "TGI tells no time to first token",
        "itl_seconds": "TGI tells no gaps between tokens, but TPOT",
        "kv_cache_usage": "TGI does not tell how full its KV cache is",
        "preemptions": "TGI does not count preemptions",
    },
)  # fmt: skip

_EMBEDS = "TEI computes embeddings and generates no tokens"
TEI = Engine(
    "TEI", ("te_",),
    (
        histogram("e2e_seconds", "request_duration"),
        histogram("queue_seconds", "request_queue_duration"),
        counter("prompt_tokens", "request_input_length_sum"),
        counter("requests", "request_count"),
        counter("errors", "request_failure{err=(?!dropped).*}"),
        counter("cancelled", "request_failure{err=dropped}"),
        gauge("requests_waiting", "queue_size"),
    ),
    lacks={
        **dict.fromkeys(("ttft_seconds", "itl_seconds", "tpot_seconds", "generated_tokens"),
                        _EMBEDS),
        "kv_cache_usage": "TEI has no KV cache",
        "requests_running": "TEI tells how many wait, not how many run",
    },
)  # fmt: skip

LLAMACPP = Engine(
    "llama.cpp", ("llamacpp:", "llamacpp_"),
    (
        counter("prompt_tokens", "prompt_tokens + prompt_tokens_cached"),
        counter("prefill_tokens", "prompt_tokens"),
        counter("generated_tokens", "tokens_predicted"),
        mean("itl_mean_seconds", "tokens_predicted_seconds", "tokens_predicted"),
        mean("prefill_mean_seconds_per_token", "prompt_seconds", "prompt_tokens"),
        gauge("requests_running", "requests_processing"),
        gauge("requests_waiting", "requests_deferred"),
        counter("prefix_cache_hits", "prompt_tokens_cached"),
        counter("prefix_cache_queries", "prompt_tokens + prompt_tokens_cached"),
        counter("spec_decode_accepted_tokens", "spec_decode_num_accepted_tokens"),
        counter("spec_decode_draft_tokens", "spec_decode_num_draft_tokens"),
        counter("spec_decode_drafts", "spec_decode_num_drafts"),
        share("kv_cache_usage", "kv_cache_usage_ratio"),
    ),
    lacks={
        "ttft_seconds": "llama.cpp has no latency histograms",
        "tpot_seconds": "llama.cpp has no latency histograms",
        "e2e_seconds": "llama.cpp has no latency histograms",
        "kv_cache_usage": "llama.cpp does not tell how full its KV cache is",
        "requests": "llama.cpp does not count requests",
        "preemptions": "llama.cpp does not count preemptions",
    },
)  # fmt: skip

TRITON = Engine(
    "Triton", ("nv_",),
    (
        histogram("ttft_seconds", "inference_first_response_histogram_ms", scale=MILLISECOND),
        mean("e2e_mean_seconds", "inference_request_duration_us", "inference_request_success",
             MICROSECOND),
        mean("queue_mean_seconds", "inference_queue_duration_us", "inference_request_success",
             MICROSECOND),
        counter("requests", "inference_request_success + inference_request_failure"),
        counter("errors", "inference_request_failure{reason=(?!CANCELED).*}"),
        counter("cancelled", "inference_request_failure{reason=CANCELED}"),
        gauge("requests_running", "trt_llm_request_metrics{request_type=scheduled}"),
        gauge("requests_waiting", "trt_llm_request_metrics{request_type=waiting}",
              "inference_pending_request_count"),
        share("kv_cache_usage", "trt_llm_kv_cache_block_metrics{kv_cache_block_type=fraction}"),
        gauge("gpu_utilization", "gpu_utilization", how="mean"),
        gauge("gpu_memory_used_bytes", "gpu_memory_used_bytes"),
        gauge("gpu_power_watts", "gpu_power_usage"),
    ),
    lacks={
        "ttft_seconds": "start Triton with --metrics-config histogram_latencies=true",
        "itl_seconds": "Triton tells no times of tokens",
        "tpot_seconds": "Triton tells no times of tokens",
        "e2e_seconds": "Triton tells the mean only",
        "generated_tokens": "Triton does not count tokens",
        "preemptions": "Triton does not count preemptions",
    },
)  # fmt: skip
