"""SGLang 0.4 to 0.5, and its router, which writes `sglang_` for `sglang:`.

With priority scheduling a gauge's total has priority="", its parts have numbers. Series of other
tensor-parallel ranks say the same again. The token counters of the tokenizer grow when a request
ends; those of the scheduler, where there are any, as tokens come.
"""

from __future__ import annotations

from llmtop.sources.scraping.engines.base import Engine, counter, gauge, histogram, share

ONE = "priority=,tp_rank=0|"

SGLANG = Engine(
    "SGLang", ("sglang:", "sglang_"),
    (
        histogram("ttft_seconds", "time_to_first_token_seconds{is_streaming=true}",
                  "time_to_first_token_seconds"),
        histogram("itl_seconds", "inter_token_latency_seconds", "time_per_output_token_seconds"),
        histogram("tpot_seconds", "request_time_per_output_token_seconds"),
        histogram("e2e_seconds", "e2e_request_latency_seconds"),
        histogram("queue_seconds", "queue_time_seconds"),
        gauge("queue_mean_seconds", f"avg_request_queue_latency{{{ONE}}}", how="mean"),
        counter("prompt_tokens", f"realtime_tokens{{mode=prefill_.*,{ONE}}}", "prompt_tokens"),
        counter("prefill_tokens", f"realtime_tokens{{mode=prefill_compute,{ONE}}}"),
        counter("generated_tokens", f"realtime_tokens{{mode=decode,{ONE}}}", "generation_tokens"),
        counter("requests", "num_requests"),
        counter("errors", "http_responses{status_code=5..}"),
        counter("cancelled", "num_aborted_requests"),
        counter("preemptions", f"num_retracted_requests{{{ONE}}}",
                f"total_retracted_reqs{{{ONE}}}"),
        gauge("requests_running", f"num_running_reqs{{{ONE}}}"),
        gauge("requests_waiting", f"num_queue_reqs{{{ONE}}} + num_grammar_queue_reqs{{{ONE}}}"),
        share("kv_cache_usage", f"token_usage{{{ONE}}}"),
        counter("prefix_cache_hits", f"prefill_effective_tokens{{mode=.*_hit,{ONE}}}",
                "cached_tokens"),
        counter("prefix_cache_queries", f"prefill_effective_tokens{{{ONE}}}", "prompt_tokens"),
        share("prefix_cache_hit_rate", f"cache_hit_rate{{{ONE}}}", how="mean"),
        share("spec_decode_acceptance", f"spec_accept_rate{{{ONE}}}", how="mean"),
    ),
    split="engine_type",
)  # fmt: skip
