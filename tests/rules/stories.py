"""For each rule of the pack, something that happens to a run, and what is nearly that.

A story feeds a `Trial` whose rule is the one under test; `bad` says whether the worst comes true.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from judging import Trial

Story = Callable[[Trial, bool], None]


@dataclass(frozen=True)
class Case:
    """How a rule is tried."""

    story: Story
    phase: str = "train"
    about: dict[str, Any] = field(default_factory=dict)


def noise(seed: int, n: int, mean: float = 2.0, spread: float = 0.02) -> list[float]:
    return (mean + spread * np.random.default_rng(seed).normal(size=n)).tolist()


def nonfinite(name: str, values: list[float]) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        trial.feed(name, noise(0, 30))
        trial.feed(name, values if bad else [2.0, 50.0, 0.0])
    return story


def spike(trial: Trial, bad: bool) -> None:
    trial.feed("loss", noise(1, 150))
    trial.feed("loss", [2.9 if bad else 2.06])
    trial.feed("loss", noise(2, 10))


def often(trial: Trial, bad: bool) -> None:
    for seed in range(4 if bad else 2):
        trial.feed("loss", noise(seed, 100))
        trial.feed("loss", [3.5])
    trial.feed("loss", noise(9, 60))


def divergence(trial: Trial, bad: bool) -> None:
    trial.feed("loss", noise(3, 150))
    risen = [2.0 + (0.6 if bad else 0.05) * min(step / 100, 1) for step in range(330)]
    trial.feed("loss", [a + b - 2 for a, b in zip(risen, noise(4, 330), strict=True)])


def gradients(times: int) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        usual = np.exp(np.random.default_rng(5).normal(0, 0.2, 200)).tolist()
        trial.feed("grad_norm", usual[:120])
        for number in range(times):
            trial.feed("grad_norm", [40.0 if bad else 2.0, *usual[number * 20 : number * 20 + 20]])
    return story


def scale(trial: Trial, bad: bool) -> None:
    # It is halved until it fits, grows, and is halved again now and then.
    trial.feed("loss_scale", [65536 / 2**n for n in range(8)] + [512.0] * 120)
    trial.feed("loss_scale", [512 / 2**n for n in range(7)] if bad else [1024.0, 512.0] * 3)


def overfitting(trial: Trial, bad: bool) -> None:
    for number in range(12):
        trial.feed("loss", [3 - 0.1 * number - 0.001 * step for step in range(20)])
        rising = 0.05 * max(0, number - 5) if bad else 0.0
        trial.put({"eval/loss": 3 - 0.05 * min(number, 5) + rising}, step=trial.step)
    trial.judge()


def stall(seconds: float) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        trial.feed("loss", noise(6, 60))
        if not bad:
            trial.event("evaluating on 5000 samples")
        trial.wait(seconds)
    return story


def silence(seconds: float) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        trial.feed("loss", noise(7, 30))
        trial.wait(seconds, alive=not bad)
    return story


def death(trial: Trial, bad: bool) -> None:
    trial.feed("loss", noise(8, 5))
    trial.end("died" if bad else "finished", "killed by signal 9" if bad else "")


def restart(trial: Trial, bad: bool) -> None:
    trial.feed("loss", noise(10, 40))
    trial.end("died" if bad else "finished")
    trial.now += 30
    trial.introduce(key="again")
    trial.judge()


def straggling(trial: Trial, bad: bool) -> None:
    for step in range(40):
        for rank in range(4):
            slow = 0.6 if rank == 2 and (bad or step == 20) else 0.0
            trial.put({"step_time_seconds": 1.0 + slow + 0.05 * rank}, step=step, rank=rank)
        trial.judge()
        trial.now += 1


def throughput(trial: Trial, bad: bool) -> None:
    trial.feed("tokens_per_second", noise(11, 240, 50_000, 800))
    # An evaluation every 50 steps makes one step slow; that is not a fall.
    slow = noise(12, 160, 35_000 if bad else 48_000, 800)
    slow[::50] = [10_000.0] * len(slow[::50])
    trial.feed("tokens_per_second", slow)


def data(trial: Trial, bad: bool) -> None:
    for value in noise(13, 160, 0.3 if bad else 0.1, 0.01):
        trial.log({"data_time_seconds": value, "step_time_seconds": 1.0})


def observed(name: str, high: float, low: float, minutes: int) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        tail = high if bad else low
        for _ in range(minutes * 12):
            trial.log({name: [low / 2] * 12 + [tail]}, step=None, every=5)
    return story


def counted(part: str, whole: str, bad_part: float, good_part: float, *, of: float = 10.0,
            minutes: int = 12) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        for _ in range(minutes * 12):
            trial.log({part: bad_part if bad else good_part, whole: of}, step=None, every=5)
    return story


def gauges(minutes: float, bad: dict[str, float], good: dict[str, float]) -> Story:
    def story(trial: Trial, worse: bool) -> None:
        for _ in range(int(minutes * 12)):
            trial.log(bad if worse else good, step=None, every=5)
    return story


def preemption(trial: Trial, bad: bool) -> None:
    for number in range(160):
        few = number == 3
        trial.log({"preemptions": 1.0 if bad or few else 0.0}, step=None, every=5)


def generation(trial: Trial, bad: bool) -> None:
    for number in range(60):
        made = 0.0 if bad and number > 30 else 100.0
        trial.log({"requests_running": 3.0, "generated_tokens": made}, step=None, every=5)


def prefixes(trial: Trial, bad: bool) -> None:
    for number in range(60 * 12):
        hits = 20.0 if bad and number > 300 else 80.0
        trial.log({"prefix_cache_hits": hits * 10, "prefix_cache_queries": 1000.0}, step=None,
                  every=5)


def corruption(trial: Trial, bad: bool) -> None:
    for number in range(5):
        trial.log({"corrupted_requests": 2.0 if bad and number == 3 else 0.0}, step=None)


def creeping(name: str) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        wobble = np.random.default_rng(14).normal(0, 1e8, 900)
        for number in range(900):
            used = 60e9 + (2e7 * number if bad else 5e9 * (number % 50 / 50)) + wobble[number]
            trial.log({name: used, f"{name.rpartition('gpu_memory')[0]}gpu_memory_total_bytes"
                       if "gpu" in name else "gpu_memory_total_bytes": 80e9})
    return story


def xid(number: float, other: float) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        # What it is at first may be years old.
        trial.feed("gpu0/gpu_last_xid", [79.0, 0.0, 0.0, number if bad else other, 0.0])
    return story


def happened(name: str, *, minutes: float = 1) -> Story:
    def story(trial: Trial, bad: bool) -> None:
        for number in range(int(12 * minutes)):
            trial.log({name: 1.0 if bad and number == 5 else 0.0}, step=None, every=5)
    return story


def remapped(trial: Trial, bad: bool) -> None:
    for number in range(110):
        trial.log({"gpu0/gpu_remapped_rows": 3.0 if bad and number > 5 else 2.0}, step=None,
                  every=5)


GPU = "gpu0/"
MEMORY = {"devices": [{"key": "gpu0", "memory_total": 80e9}]}
HOST = {"phase": "host", "about": {"tags": MEMORY}}

CASES: dict[str, Case] = {
    "loss_nonfinite": Case(nonfinite("loss", [math.nan])),
    "grad_nonfinite": Case(nonfinite("grad_norm", [math.inf] * 3)),
    "loss_spike": Case(spike),
    "spike_rate": Case(often),
    "loss_diverged": Case(divergence),
    "grad_spike": Case(gradients(1)),
    "grad_exploding": Case(gradients(3)),
    "loss_scale_falling": Case(scale),
    "overfitting": Case(overfitting),
    "step_stalled": Case(stall(90)),
    "step_hung": Case(stall(400)),
    "heartbeat_lost": Case(silence(60)),
    "run_died": Case(death),
    "restarted": Case(restart),
    "straggler": Case(straggling, about={"ranks": 4}),
    "throughput_drop": Case(throughput),
    "data_bound": Case(data),
    "target_down": Case(silence(120), "serve"),
    "error_ratio": Case(counted("errors", "requests", 1.0, 0.3), "serve"),
    "slo_burn": Case(counted("errors", "requests", 1.0, 0.1), "serve"),
    "ttft_high": Case(observed("ttft_seconds", 7.0, 1.0, 12), "serve"),
    "tpot_high": Case(observed("tpot_seconds", 0.4, 0.05, 16), "serve"),
    "e2e_high": Case(observed("e2e_seconds", 50.0, 20.0, 12), "serve"),
    "queue_growing": Case(
        gauges(8, {"requests_waiting": 20.0}, {"requests_waiting": 8.0}), "serve"),
    "kv_full": Case(gauges(6, {"kv_cache_usage": 0.97}, {"kv_cache_usage": 0.9}), "serve"),
    "kv_full_queue": Case(
        gauges(6, {"kv_cache_usage": 0.97, "requests_waiting": 30.0},
               {"kv_cache_usage": 0.97, "requests_waiting": 0.0}), "serve"),
    "preemptions": Case(preemption, "serve"),
    "generation_stalled": Case(generation, "serve"),
    "prefix_hits_drop": Case(prefixes, "serve"),
    "spec_acceptance_low": Case(
        counted("spec_decode_accepted_tokens", "spec_decode_draft_tokens", 20.0, 60.0, of=100.0,
                minutes=22), "serve"),
    "nan_logits": Case(corruption, "serve"),
    "gpu_memory_creep": Case(creeping(GPU + "gpu_memory_used_bytes"), **HOST),
    "memory_creep": Case(creeping("memory_used_bytes")),
    "gpu_idle": Case(
        gauges(12, {GPU + "gpu_utilization": 0.0, GPU + "gpu_memory_used_bytes": 60e9},
               {GPU + "gpu_utilization": 0.0, GPU + "gpu_memory_used_bytes": 1e9}), **HOST),
    "xid": Case(xid(79.0, 43.0), **HOST),
    "xid_application": Case(xid(43.0, 79.0), **HOST),
    "xid_memory": Case(xid(63.0, 43.0), **HOST),
    "xid_counted": Case(happened(GPU + "gpu_xid_errors"), **HOST),
    "ecc": Case(happened(GPU + "gpu_ecc_uncorrected_errors"), **HOST),
    "rows_remapped": Case(remapped, **HOST),
    "gpu_hot": Case(gauges(6, {GPU + "gpu_temperature_celsius": 90.0},
                           {GPU + "gpu_temperature_celsius": 80.0}), **HOST),
    "gpu_throttled": Case(happened(GPU + "gpu_thermal_violation_seconds", minutes=3), **HOST),
    "gpu_memory_full": Case(
        gauges(6, {GPU + "gpu_utilization": 0.5, GPU + "gpu_memory_used_bytes": 79.5e9},
               {GPU + "gpu_utilization": 0.5, GPU + "gpu_memory_used_bytes": 70e9}), **HOST),
}
