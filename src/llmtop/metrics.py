"""The vocabulary: every known metric declared once, under the name the field uses.

A name as logged ("train/loss", "lm loss", "eval_accuracy") is looked up by `find`: case, spaces
and punctuation are folded, known prefixes are taken off, and what is left is a canonical name or
one of its aliases. What is not found is shown too, under its own name, grouped by `group`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["gauge", "counter", "distribution"]
Better = Literal["up", "down", ""]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the vocabulary."""

    name: str
    """Canonical name, with its unit."""
    title: str
    """Lower-case title of its panel."""
    unit: str
    kind: Kind
    better: Better
    panel: str
    """Which panel draws it; metrics of one panel share its axes."""
    aliases: tuple[str, ...] = ()
    phases: tuple[str, ...] = ("train", "eval", "serve")


def _m(
    name: str, title: str, unit: str, better: Better, panel: str, *aliases: str,
    kind: Kind = "gauge",
) -> Metric:
    return Metric(name, title, unit, kind, better, panel, aliases)


METRICS: tuple[Metric, ...] = (
    _m("loss", "loss", "nats", "down", "loss",
       "lm_loss", "train_loss", "training_loss", "total_loss", "ce_loss", "cross_entropy_loss",
       "nll_loss", "loss_mean", "avg_loss", "batch_loss", "epoch_loss", "loss_avg",
       "global_avg_loss", "train_inner_loss", "reduced_train_loss", "lm_loss_value",
       "loss_train_total", "crossentropyloss", "languagecrossentropy", "trl", "train"),
    _m("eval_loss", "eval loss", "nats", "down", "loss",
       "val_loss", "valid_loss", "validation_loss", "test_loss", "dev_loss", "lm_loss_validation",
       "validation_lm_loss", "validate_loss", "tel", "val", "epoch_val_loss"),
    _m("perplexity", "perplexity", "", "down", "perplexity", "ppl", "train_ppl", "eval_ppl",
       "val_ppl", "lm_loss_ppl", "eval_perplexity", "val_perplexity", "lm_loss_ppl_value",
       "languageperplexity"),
    _m("bits_per_byte", "bits per byte", "", "down", "bits_per_byte", "bpb", "val_bpb", "eval_bpb",
       "validation_bpb"),
    _m("accuracy", "accuracy", "ratio", "up", "accuracy",
       "acc", "train_accuracy", "train_acc", "mean_token_accuracy", "token_accuracy", "top1",
       "categorical_accuracy", "epoch_accuracy", "epoch_acc", "batch_accuracy", "batch_acc"),
    _m("eval_accuracy", "eval accuracy", "ratio", "up", "accuracy",
       "val_accuracy", "val_acc", "eval_acc", "test_accuracy", "test_acc", "valid_accuracy",
       "validation_accuracy", "eval_mean_token_accuracy", "epoch_val_accuracy", "epoch_val_acc"),
    _m("f1", "f1", "ratio", "up", "score", "eval_f1", "val_f1", "f1_score"),
    _m("precision", "precision", "ratio", "up", "score", "eval_precision", "val_precision"),
    _m("recall", "recall", "ratio", "up", "score", "eval_recall", "val_recall"),
    _m("reward", "reward", "", "up", "reward", "mean_reward", "rewards_mean", "reward_mean",
       "rewards_chosen", "critic_rewards_mean", "average_reward", "average_reward_score"),
    _m("kl", "kl divergence", "nats", "down", "kl", "kl_divergence", "approx_kl", "mean_kl",
       "ppo_kl", "objective_kl", "kl_loss"),
    _m("entropy", "entropy", "nats", "", "entropy", "policy_entropy", "entropy_loss",
       "actor_entropy"),
    _m("grad_norm", "gradient norm", "", "", "grad_norm",
       "gradient_norm", "gnorm", "total_grad_norm", "global_grad_norm", "grad_norm_total",
       "actor_grad_norm", "optim_total_grad_norm", "norm"),
    _m("learning_rate", "learning rate", "", "", "learning_rate", "lr", "learning_rate_0",
       "lr_abs", "current_lr", "optim_learning_rate_group0", "actor_lr", "optim_lr_group_0",
       "lr_decoupledadamw_group0"),
    _m("loss_scale", "loss scale", "", "", "loss_scale", "scale", "grad_scale"),
    _m("epoch", "epoch", "", "", "epoch", "epochs", "current_epoch"),
    _m("tokens", "tokens", "", "", "tokens", "tokens_seen", "num_tokens", "consumed_tokens",
       "total_tokens", "num_input_tokens_seen", "train_tokens", "trained_tokens"),
    _m("tokens_per_second", "throughput", "tokens/s", "up", "throughput",
       "tok_s", "toks_s", "tokens_s", "tps", "tok_per_sec", "tokens_per_sec", "token_per_second",
       "tokens_per_sec_global", "throughput_tokens_per_sec", "train_tokens_per_second", "wps",
       "throughput_device_tokens_per_second", "tok_sec", "tokens_sec", "gen_tps", "eval_tps",
       "tg_3s", "decode_gen_throughput_token_s"),
    _m("tokens_per_second_per_gpu", "throughput per gpu", "tokens/s", "up", "throughput_gpu",
       "tgs", "tokens_per_gpu_per_second", "tokens_sec_gpu", "tok_s_gpu",
       "device_tokens_per_sec", "device_tps", "perf_throughput"),
    _m("prompt_tokens_per_second", "prompt throughput", "tokens/s", "up", "prompt_throughput",
       "prompt_tps", "prompt_eval_tps", "prefill_input_throughput_token_s"),
    _m("samples_per_second", "samples", "samples/s", "up", "samples",
       "samples_s", "samples_per_sec", "train_samples_per_second", "examples_per_second",
       "sequences_per_second", "images_per_second", "throughput_samples_per_sec", "cur_sps",
       "samples_sec"),
    _m("steps_per_second", "steps", "steps/s", "up", "steps", "it_s", "iterations_per_second",
       "train_steps_per_second", "steps_per_sec", "its_per_second", "it_sec"),
    _m("step_time_seconds", "step time", "seconds", "down", "step_time",
       "step_time", "time_per_step", "iteration_time", "iter_time", "elapsed_time_per_iteration",
       "step_seconds", "time_per_iteration", "time_step", "timing_s_step", "dt", "step_avg",
       "elapsed_time_per_iteration_ms", "train_step_timing_in_s"),
    _m("data_time_seconds", "data time", "seconds", "down", "step_time", "data_time",
       "data_loading_time", "time_data", "dataloader_time", "data_seconds"),
    _m("mfu", "mfu", "fraction", "up", "mfu", "model_flops_utilization", "hfu", "train_mfu",
       "bf16_mfu"),
    _m("tflops", "tflop/s per gpu", "TFLOP/s", "up", "tflops", "tflops_per_gpu",
       "throughput_per_gpu_tflop_s_gpu", "model_tflops", "approx_flops_per_gpu"),
    _m("memory_used_bytes", "gpu memory", "bytes", "", "memory", "memory_allocated_bytes",
       "mem_allocated_bytes", "cuda_memory_bytes"),
    _m("memory_reserved_bytes", "gpu memory reserved", "bytes", "", "memory",
       "gpu_memory_reserved_bytes"),
    _m("gpu_utilization", "gpu utilization", "fraction", "", "gpu_utilization"),
    _m("gpu_sm_activity", "sm activity", "fraction", "", "gpu_utilization"),
    _m("gpu_sm_occupancy", "sm occupancy", "fraction", "", "gpu_activity"),
    _m("gpu_tensor_activity", "tensor activity", "fraction", "", "gpu_activity"),
    _m("gpu_dram_activity", "dram activity", "fraction", "", "gpu_activity"),
    _m("gpu_memory_busy", "gpu memory busy", "fraction", "", "gpu_activity"),
    _m("gpu_memory_used_bytes", "gpu memory", "bytes", "", "gpu_memory"),
    _m("gpu_memory_total_bytes", "gpu memory in all", "bytes", "", "gpu_memory"),
    _m("gpu_power_watts", "gpu power", "watts", "", "gpu_power"),
    _m("gpu_energy_joules", "gpu energy", "joules", "", "gpu_energy", kind="counter"),
    _m("gpu_temperature_celsius", "gpu temperature", "celsius", "", "gpu_temperature"),
    _m("gpu_memory_temperature_celsius", "gpu memory temperature", "celsius", "",
       "gpu_temperature"),
    _m("gpu_sm_clock_hz", "sm clock", "Hz", "", "gpu_clock"),
    _m("gpu_memory_clock_hz", "gpu memory clock", "Hz", "", "gpu_clock"),
    _m("gpu_fan_speed", "gpu fan", "fraction", "", "gpu_fan"),
    _m("gpu_pcie_sent_bytes_per_second", "pcie sent", "bytes/s", "", "gpu_pcie"),
    _m("gpu_pcie_received_bytes_per_second", "pcie received", "bytes/s", "", "gpu_pcie"),
    _m("gpu_nvlink_sent_bytes_per_second", "nvlink sent", "bytes/s", "", "gpu_nvlink"),
    _m("gpu_nvlink_received_bytes_per_second", "nvlink received", "bytes/s", "", "gpu_nvlink"),
    _m("gpu_ecc_corrected_errors", "corrected ecc errors", "", "down", "gpu_ecc", kind="counter"),
    _m("gpu_ecc_uncorrected_errors", "uncorrected ecc errors", "", "down", "gpu_ecc",
       kind="counter"),
    _m("gpu_remapped_rows", "remapped rows", "", "down", "gpu_ecc"),
    _m("gpu_xid_errors", "xid errors", "", "down", "gpu_xid", kind="counter"),
    _m("gpu_last_xid", "last xid", "", "", "gpu_xid", "xid", "dcgm_fi_dev_xid_errors"),
    _m("gpu_thermal_violation_seconds", "slowed by heat", "seconds", "down", "gpu_temperature",
       kind="counter"),
    _m("host_cpu_utilization", "cpu", "fraction", "", "host_cpu"),
    _m("host_load", "load", "", "", "host_load"),
    _m("host_memory_used_bytes", "memory", "bytes", "", "host_memory"),
    _m("host_swap_used_bytes", "swap", "bytes", "", "host_memory"),
    _m("host_disk_read_bytes", "disk read", "bytes", "", "host_disk", kind="counter"),
    _m("host_disk_written_bytes", "disk written", "bytes", "", "host_disk", kind="counter"),
    _m("host_network_received_bytes", "network received", "bytes", "", "host_network",
       kind="counter"),
    _m("host_network_sent_bytes", "network sent", "bytes", "", "host_network", kind="counter"),
    _m("infiniband_received_bytes", "infiniband received", "bytes", "", "host_infiniband",
       kind="counter"),
    _m("infiniband_sent_bytes", "infiniband sent", "bytes", "", "host_infiniband",
       kind="counter"),
    _m("host_cpu_pressure", "cpu pressure", "fraction", "down", "host_pressure"),
    _m("host_memory_pressure", "memory pressure", "fraction", "down", "host_pressure"),
    _m("host_io_pressure", "io pressure", "fraction", "down", "host_pressure"),
    _m("energy_joules", "energy", "joules", "", "energy", kind="counter"),
    _m("energy_seen", "gpu time whose energy is known", "fraction", "", "energy"),
    _m("joules_per_token", "energy per token", "J/token", "down", "joules_per_token"),
    _m("ttft_seconds", "ttft", "seconds", "down", "ttft",
       "ttft", "time_to_first_token", "time_to_first_token_seconds", "first_token_seconds",
       kind="distribution"),
    _m("itl_seconds", "inter-token latency", "seconds", "down", "itl",
       "itl", "inter_token_latency", "inter_token_latency_seconds", kind="distribution"),
    _m("tpot_seconds", "time per output token", "seconds", "down", "tpot",
       "tpot", "time_per_output_token", "time_per_output_token_seconds", kind="distribution"),
    _m("e2e_seconds", "end-to-end latency", "seconds", "down", "e2e",
       "e2e", "e2e_latency", "e2e_latency_seconds", "e2e_request_latency_seconds",
       "request_latency_seconds", "latency_seconds", "request_seconds", kind="distribution"),
    _m("queue_seconds", "queue time", "seconds", "down", "queue_time",
       "queue_time_seconds", "queue_time", "request_queue_time_seconds", kind="distribution"),
    _m("prefill_seconds", "prefill time", "seconds", "down", "prefill_time",
       "request_prefill_time_seconds", kind="distribution"),
    _m("decode_seconds", "decode time", "seconds", "down", "decode_time",
       "request_decode_time_seconds", kind="distribution"),
    _m("itl_mean_seconds", "mean inter-token latency", "seconds", "down", "itl_mean"),
    _m("e2e_mean_seconds", "mean end-to-end latency", "seconds", "down", "e2e_mean"),
    _m("queue_mean_seconds", "mean queue time", "seconds", "down", "queue_time_mean"),
    _m("prefill_mean_seconds_per_token", "mean prefill time a token", "seconds", "down",
       "prefill_mean"),
    _m("generated_tokens", "generated tokens", "tokens", "up", "generation",
       "generation_tokens", "generation_tokens_total", "completion_tokens", "output_tokens",
       kind="counter"),
    _m("prompt_tokens", "prompt tokens", "tokens", "", "prompt", "prompt_tokens_total",
       "input_tokens", kind="counter"),
    _m("prefill_tokens", "prompt tokens computed", "tokens", "", "prompt", kind="counter"),
    _m("requests", "requests", "requests", "", "requests", "requests_total", "num_requests",
       kind="counter"),
    _m("errors", "errors", "", "down", "requests", "errors_total", "request_errors",
       "failed_requests", kind="counter"),
    _m("corrupted_requests", "requests with nan logits", "requests", "down", "requests",
       kind="counter"),
    _m("cancelled", "cancelled", "requests", "", "requests", "cancelled_requests",
       "requests_cancelled", "requests_aborted", kind="counter"),
    _m("requests_running", "running", "", "", "queue", "num_requests_running", "running",
       "running_requests", "decode_running_req"),
    _m("requests_waiting", "waiting", "", "down", "queue", "num_requests_waiting", "waiting",
       "queue_depth", "waiting_requests", "decode_queue_req"),
    _m("kv_cache_usage", "kv-cache usage", "fraction", "", "kv_cache", "kv_usage",
       "kv_cache_usage_perc", "gpu_cache_usage_perc", "token_usage", "kv_pct",
       "decode_token_usage", "decode_full_token_usage"),
    _m("kv_cache_usage_mean", "mean kv-cache usage", "fraction", "", "kv_cache"),
    _m("prefix_cache_hit_rate", "prefix-cache hit rate", "fraction", "up", "prefix_cache",
       "gpu_prefix_cache_hit_rate", "cache_hit_rate", "kv_cache_hit_rate"),
    _m("prefix_cache_hits", "prefix-cache hits", "tokens", "", "ratio_parts", kind="counter"),
    _m("prefix_cache_queries", "prefix-cache queries", "tokens", "", "ratio_parts",
       kind="counter"),
    _m("spec_decode_acceptance", "accepted drafts", "fraction", "up", "speculation",
       "spec_accept_rate", "spec_decode_draft_acceptance_rate"),
    _m("spec_decode_accepted_tokens", "accepted draft tokens", "tokens", "", "ratio_parts",
       kind="counter"),
    _m("spec_decode_draft_tokens", "draft tokens", "tokens", "", "ratio_parts", kind="counter"),
    _m("spec_decode_drafts", "drafts", "", "", "ratio_parts", kind="counter"),
    _m("preemptions", "preemptions", "", "down", "preemptions", "num_preemptions",
       "retractions", "num_retracted_requests", kind="counter"),
    _m("requests_rejected", "rejected", "requests", "down", "rejected", kind="counter"),
    _m("requests_swapped", "swapped", "", "down", "queue"),
    _m("requests_paused", "paused", "", "down", "queue"),
    _m("ready_endpoints", "ready endpoints", "", "up", "ready_endpoints"),
    _m("llmtop_dropped", "dropped by the publisher", "", "down", "dropped", "llmtop/dropped",
       kind="counter"),
)

PREFIXES = (
    "train", "training", "eval", "val", "valid", "validation", "test", "metrics", "metric",
    "perf", "optim", "optimizer", "progress", "throughput", "time", "timing", "serve", "server",
    "serving", "vllm", "sglang", "model", "global", "step", "batch", "log",
)
"""First parts of a logged name that say where it was measured, not what it is."""
EVAL_PREFIXES = frozenset({"eval", "val", "valid", "validation", "test", "dev"})
DEVICE = re.compile(r"(?:gpu|mig)\d+")
"""First parts of a name that say which device: "gpu0/gpu_utilization", "gpu0/mig1/..."."""

_FOLD = re.compile(r"[^a-z0-9]+")


def fold(name: str) -> str:
    """Return `name` in lower case with every run of punctuation or spaces as one "_"."""
    return _FOLD.sub("_", name.lower()).strip("_")


_BY_NAME: dict[str, Metric] = {}
for _metric in METRICS:
    for _alias in (_metric.name, *_metric.aliases):
        if _BY_NAME.setdefault(fold(_alias), _metric) is not _metric:
            raise AssertionError(f"{_alias!r} names two metrics")
BY_NAME = {metric.name: metric for metric in METRICS}


@lru_cache(maxsize=65_536)
def find(name: str) -> Metric | None:
    """Return the metric that a logged name means, or None when it is not in the vocabulary.

    "eval/loss" is eval_loss, not loss: an evaluation prefix is kept as part of the meaning.
    """
    folded = fold(name)
    found = _BY_NAME.get(folded)
    if found is not None:
        return found
    parts = [fold(part) for part in re.split(r"[/.:]", name) if fold(part)]
    evaluated = False
    while len(parts) > 1 and _is_prefix(parts[0]):
        evaluated = evaluated or parts[0] in EVAL_PREFIXES
        parts = parts[1:]
        rest = "_".join(parts)
        found = _BY_NAME.get(f"eval_{rest}") if evaluated else _BY_NAME.get(rest)
        if found is not None:
            return found
        if evaluated and (plain := _BY_NAME.get(rest)) is not None:
            return BY_NAME.get(f"eval_{plain.name}", plain)
    return None


def _is_prefix(part: str) -> bool:
    return part in PREFIXES or part in EVAL_PREFIXES or DEVICE.fullmatch(part) is not None


def group(name: str) -> str:
    """Return the prefix under which an unknown name is grouped ("" when it has none)."""
    head, sep, _ = name.partition("/")
    return head if sep else ""
