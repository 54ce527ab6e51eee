"""vLLM, SGLang and llama.cpp servers."""

from __future__ import annotations

from datetime import datetime

from reading import items_of, points

from llmtop.formats import llamacpp, sglang, vllm
from llmtop.formats.base import End, Note, Points

(VLLM,), (SGLANG,), (LLAMA,) = vllm.FORMATS, sglang.FORMATS, llamacpp.FORMATS
ENGINE = (
    "(APIServer pid=4410) INFO 06-14 09:20:31 [loggers.py:259] Engine 00{}: "
    "Avg prompt throughput: 812.5 tokens/s, Avg generation throughput: {} tokens/s, "
    "Running: 12 reqs, Waiting: 3 reqs, Preemptions: 2, GPU KV cache usage: 41.5%, "
    "Prefix cache hit rate: 28.5%, External prefix cache hit rate: 1.5%, MM cache hit rate: 2.5%"
)


def test_vllm_engines_are_ranks() -> None:
    items = items_of(VLLM, ENGINE.format(0, 204.5) + "\n" + ENGINE.format(1, 304.5))
    assert points(items, rank=0) == {
        "prompt_tps": [(-1, 812.5)], "gen_tps": [(-1, 204.5)], "running": [(-1, 12.0)],
        "waiting": [(-1, 3.0)], "preemptions": [(-1, 2.0)], "kv_pct": [(-1, 41.5)],
        "prefix_hit_pct": [(-1, 28.5)], "external_prefix_hit_pct": [(-1, 1.5)],
        "mm_hit_pct": [(-1, 2.5)],
    }  # fmt: skip
    assert points(items, rank=1)["gen_tps"] == [(-1, 304.5)]
    point = items[0]
    assert isinstance(point, Points)
    assert point.time is not None
    moment = datetime.fromtimestamp(point.time)
    assert (moment.month, moment.day, moment.hour, moment.second) == (6, 14, 9, 31)


def test_vllm_of_the_first_generation_and_all_engines_together() -> None:
    text = (
        "INFO 03-10 11:00:00 metrics.py:455] Avg prompt throughput: 1.5 tokens/s, Avg generation"
        " throughput: 2.5 tokens/s, Running: 4 reqs, Swapped: 1 reqs, Pending: 7 reqs, GPU KV"
        " cache usage: 15.5%, CPU KV cache usage: 0.5%.\n"
        "INFO 09-02 08:46:23 [loggers.py:271] 2 Engines Aggregated: Avg prompt throughput: 3.5"
        " tokens/s, Running: 5 reqs\n"
    )
    assert points(items_of(VLLM, text)) == {
        "prompt_tps": [(-1, 1.5), (-1, 3.5)], "gen_tps": [(-1, 2.5)],
        "running": [(-1, 4.0), (-1, 5.0)], "swapped": [(-1, 1.0)], "waiting": [(-1, 7.0)],
        "kv_pct": [(-1, 15.5)], "cpu_kv_pct": [(-1, 0.5)],
    }  # fmt: skip


def test_vllm_speculation_is_of_the_engine_before_and_its_list_has_commas() -> None:
    text = ENGINE.format(1, 5.0) + (
        "\nINFO 06-14 09:20:31 [metrics.py:96] SpecDecoding metrics: Mean acceptance length: 3.5,"
        " Accepted throughput: 2.5 tokens/s, Drafted throughput: 16.5 tokens/s, Accepted: 76"
        " tokens, Drafted: 435 tokens, Per-position acceptance rate: 0.793, 0.552, 0.448,"
        " Avg Draft acceptance rate: 17.5%"
    )
    found = points(items_of(VLLM, text), rank=1)
    assert found["spec_accept_len"] == [(-1, 3.5)]
    assert found["spec_accepted_tps"] == [(-1, 2.5)]
    assert found["spec_drafted_tps"] == [(-1, 16.5)]
    assert found["spec_draft_accept_pct"] == [(-1, 17.5)]


def test_vllm_fails_loudly_and_shuts_down() -> None:
    fatal = "(EngineCore pid=2) ERROR 06-14 09:21:00 [core.py:700] EngineCore failed to start."
    text = f"{fatal}\n{fatal}\nINFO:     Application shutdown complete.\n"
    (note,) = items_of(VLLM, text)
    assert isinstance(note, Note)
    assert note.level == "error"
    last = items_of(VLLM, ENGINE.format(0, 1.0) + "\nINFO:     Application shutdown complete.")[-1]
    assert isinstance(last, End)


def test_sglang_batches() -> None:
    text = (
        "[2025-07-21 16:40:12 DP1 TP0] Decode batch, #running-req: 12, #token: 20480,"
        " token usage: 0.42, accept len: 1.5, cuda graph: True,"
        " gen throughput (token/s): 612.5, #queue-req: 3\n"
        "[2025-07-21 16:40:13 DP1 TP0] Prefill batch [17], #new-seq: 2, #new-token: 90,"
        " #cached-token: 10, token usage: 0.5, #queue-req: 0,\n"
    )
    items = items_of(SGLANG, text)
    assert points(items, rank=1) == {
        "decode/#running-req": [(-1, 12.0)], "decode/#token": [(-1, 20480.0)],
        "decode/token usage": [(-1, 0.42)], "decode/accept len": [(-1, 1.5)],
        "decode/gen throughput (token/s)": [(-1, 612.5)], "decode/#queue-req": [(-1, 3.0)],
        "prefill/#new-seq": [(-1, 2.0)], "prefill/#new-token": [(-1, 90.0)],
        "prefill/#cached-token": [(-1, 10.0)], "prefill/token usage": [(-1, 0.5)],
        "prefill/#queue-req": [(-1, 0.0)],
    }  # fmt: skip
    assert isinstance(items[0], Points)
    assert items[0].time == datetime(2025, 7, 21, 16, 40, 12).timestamp()


def test_sglang_with_a_period_and_without_ranks() -> None:
    text = (
        "[2024-11-02 10:00:00 TP0] Decode batch. #running-req: 1, #token: 7, token usage: 0.00,"
        " gen throughput (token/s): 5.50, #queue-req: 0\n"
        "[2024-11-02 10:00:05] SIGTERM received. signum=None frame=None.\n"
    )
    items = items_of(SGLANG, text)
    assert points(items)["decode/gen throughput (token/s)"] == [(-1, 5.5)]
    assert isinstance(items[-1], End)


def test_llama_timings_with_the_slot_before_or_in_each_line() -> None:
    old = (
        "slot print_timing: id  0 | task 0 | \n"
        "prompt eval time =     412.50 ms /   310 tokens (    1.33 ms per token,"
        "   751.50 tokens per second)\n"
        "       eval time =    2210.00 ms /    96 tokens (   23.02 ms per token,"
        "      inf tokens per second)\n"
        "      total time =    2622.50 ms /   406 tokens\n"
    )
    head = "slot print_timing: id  0 | task 0 | "
    new = "".join(head + line + "\n" for line in old.splitlines()[1:])
    expected = {
        "prompt eval_ms": [(-1, 412.5)], "prompt eval_tps": [(-1, 751.5)],
        "eval_ms": [(-1, 2210.0)], "eval_tps": [(-1, float("inf"))], "total_ms": [(-1, 2622.5)],
    }  # fmt: skip
    assert points(items_of(LLAMA, old)) == expected
    assert points(items_of(LLAMA, new)) == expected


def test_llama_requests_on_their_way_and_drafts() -> None:
    text = (
        "slot print_timing: id  0 | task 5 | n_gen =    128, tg =  42.50 t/s, tg_3s =  43.50 t/s\n"
        "slot print_timing: id  0 | task 5 | draft acceptance = 0.67500 (   27 accepted /"
        "    40 generated), mean len =  2.50\n"
        "draft acceptance rate = 0.50000 (    2 accepted /     4 generated)\n"
    )
    assert points(items_of(LLAMA, text)) == {
        "n_gen": [(-1, 128.0)], "tg": [(-1, 42.5)], "tg_3s": [(-1, 43.5)],
        "draft acceptance": [(-1, 0.675), (-1, 0.5)], "draft mean len": [(-1, 2.5)],
    }  # fmt: skip
