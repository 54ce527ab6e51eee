"""Results of serving benchmarks: each known by its keys, each in the right unit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from growing import only_points, rewriter
from reading import items_of, items_of_file

from llmtop.formats import aiperf, benchmarks, guidellm
from llmtop.formats.base import About, FileFormat, LineFormat, Note, Points

VLLM, SGLANG, INFERENCEX = benchmarks.FORMATS
RECORDS, SUMMARY, TABLE = aiperf.FORMATS
(GUIDELLM,) = guidellm.FORMATS
assert isinstance(RECORDS, LineFormat)
assert isinstance(SUMMARY, FileFormat)
assert isinstance(TABLE, FileFormat)
FILES = (VLLM, SGLANG, INFERENCEX, SUMMARY, TABLE, GUIDELLM)

COMMON = {"duration": 12.5, "completed": 200, "request_throughput": 16.0}
VLLM_RESULT = {
    "date": "20260213-135636", "backend": "vllm", "model_id": "org/model", "request_rate": "inf",
    **COMMON, "request_goodput:": 15.0, "output_throughput": 2000.5, "median_ttft_ms": 85.5,
    "ttfts": [0.1, 0.2], "good_completed": None, "p99_itl_ms": 30.0,
}
SGLANG_RESULT = {
    "tag": None, "backend": "sglang", **COMMON, "total_throughput": 4000.0,
    "mean_e2e_latency_ms": 1210.5, "median_ttft_ms": 70.5, "server_info": {"port": 30000},
}
INFERENCEX_RESULT = {"model_id": "m", **COMMON, "median_ttft": 3.25, "p99_e2el": 30.5}
AIPERF = {
    "schema_version": "1.0", "start_time": "2026-01-02T03:04:05+00:00",
    "end_time": "2026-01-02T03:05:05+00:00", "input_config": {"x": {"avg": 3}},
    "request_latency": {"unit": "ms", "avg": 297.5, "p99": 402.0, "count": 10},
    "request_throughput": {"unit": "requests/sec", "avg": 9.5},
    "benchmark_duration": {"unit": "sec", "avg": 60.0},
}
AIPERF_CSV = (
    "Metric,avg,min,max,p99\r\nRequest Latency (ms),\"1,297.50\",100.00,N/A,402.00\r\n\r\n"
    "Metric,Value\r\nRequest Throughput (requests/sec),9.50\r\n\r\n"
    "Endpoint,GPU_Index,Metric,avg\r\nlocalhost,0,Power (W),300\r\n"
)
GUIDE = {
    "metadata": {"guidellm_version": "0.5"},
    "benchmarks": [{
        "config": {"strategy": {"type_": "constant", "rate": 4.0}}, "end_time": 1_700_000_000.0,
        "duration": 30.0,
        "metrics": {
            "request_totals": {"successful": 100, "errored": 2},
            "time_to_first_token_ms": {
                "successful": {"mean": 41.5, "count": 100, "percentiles": {"p99": 90.0}},
                "errored": {"mean": 0.0},
            },
            "text": {"tokens": {"input": {"successful": {"median": 256.0}}}},
        },
        "requests": {"successful": [{"request_latency": 1.0}]},
    }],
}
CASES = {
    VLLM.name: json.dumps(VLLM_RESULT),
    SGLANG.name: json.dumps(SGLANG_RESULT) + "\n",
    INFERENCEX.name: json.dumps(INFERENCEX_RESULT, indent=2),
    SUMMARY.name: json.dumps(AIPERF, indent=2),
    TABLE.name: AIPERF_CSV,
    GUIDELLM.name: json.dumps(GUIDE),
}


@pytest.mark.parametrize("name", CASES)
def test_each_is_known_by_its_keys_and_by_no_other(tmp_path: Path, name: str) -> None:
    head = CASES[name].encode()
    assert [known.name for known in FILES if known.sniff(tmp_path / "x", head)] == [name]


@pytest.mark.parametrize("head", [b"", b"{}", b"[]", b'{"completed": 1}', b"Metric,x\n", b"a,b\n"])
def test_other_files_are_none_of_them(tmp_path: Path, head: bytes) -> None:
    assert not [known.name for known in FILES if known.sniff(tmp_path / "bench.json", head)]


def read(tmp_path: Path, known: FileFormat) -> Points:
    path = tmp_path / "result"
    path.write_bytes(CASES[known.name].encode())
    (point,) = only_points(items_of_file(known, path))
    return point


def test_vllm_says_milliseconds(tmp_path: Path) -> None:
    point = read(tmp_path, VLLM)
    assert point.values == {
        **COMMON, "request_goodput:": 15.0, "output_throughput": 2000.5, "median_ttft_ms": 85.5,
        "p99_itl_ms": 30.0,
    }
    units = {name: VLLM.units.get(name) for name in point.values}
    assert units == {
        "duration": "seconds", "completed": None, "request_throughput": "requests/s",
        "request_goodput:": "requests/s", "output_throughput": "tokens/s",
        "median_ttft_ms": "ms", "p99_itl_ms": "ms",
    }
    assert point.time is not None


def test_inferencex_means_seconds(tmp_path: Path) -> None:
    point = read(tmp_path, INFERENCEX)
    assert point.values == {**COMMON, "median_ttft": 3.25, "p99_e2el": 30.5}
    assert {INFERENCEX.units[name] for name in ("median_ttft", "p99_e2el")} == {"seconds"}


def test_sglang_leaves_out_the_server(tmp_path: Path) -> None:
    assert read(tmp_path, SGLANG).values == {
        **COMMON, "total_throughput": 4000.0, "mean_e2e_latency_ms": 1210.5,
        "median_ttft_ms": 70.5,
    }


def test_results_appended_a_line_each_come_once(tmp_path: Path) -> None:
    write = rewriter(VLLM, tmp_path / "results.json")
    first = json.dumps(VLLM_RESULT).encode()
    second = json.dumps({**VLLM_RESULT, "median_ttft_ms": 99.0}).encode()
    found = write(first)
    assert found[0] == About("org/model", "eval", tags={
        "date": "20260213-135636", "backend": "vllm", "model_id": "org/model",
        "request_rate": "inf",
    })
    assert len(only_points(found)) == 1
    assert write(first + b"\n" + second[:50]) == []
    (point,) = only_points(write(first + b"\n" + second))
    assert point.values["median_ttft_ms"] == 99.0
    assert write(first + b"\n" + second + b"\n") == []


def test_aiperf_statistics(tmp_path: Path) -> None:
    point = read(tmp_path, SUMMARY)
    assert point == Points(
        {"request_latency/avg": 297.5, "request_latency/p99": 402.0, "request_latency/count": 10.0,
         "request_throughput/avg": 9.5, "benchmark_duration/avg": 60.0},
        time=1767323105.0,
    )
    assert [SUMMARY.units.get(name) for name in point.values] == [
        "ms", "ms", "", "requests/s", "seconds",
    ]


def test_aiperf_tables(tmp_path: Path) -> None:
    point = read(tmp_path, TABLE)
    assert point.values == {
        "Request Latency (ms)/avg": 1297.5, "Request Latency (ms)/min": 100.0,
        "Request Latency (ms)/p99": 402.0, "Request Throughput (requests/sec)": 9.5,
    }
    assert TABLE.units["Request Latency (ms)/avg"] == "ms"
    assert TABLE.units["Request Throughput (requests/sec)"] == "requests/s"


def record(metrics: object, error: object = None, phase: str = "profiling") -> str:
    about = {
        "request_start_ns": 1_700_000_000_000_000_000, "request_end_ns": 1_700_000_001_500_000_000,
        "benchmark_phase": phase,
    }
    return json.dumps({"metadata": about, "metrics": metrics, "error": error})


def test_aiperf_records() -> None:
    metrics = {
        "time_to_first_token": {"value": 255.5, "unit": "ms"},
        "request_latency": {"value": 2.0, "unit": "s"},
        "inter_chunk_latency": {"value": [1.0, 2.0], "unit": "ms"},
        "output_token_count": {"value": 9, "unit": "tokens"},
    }
    lines = [
        record(metrics), record(metrics, phase="warmup"),
        record({}, {"code": 499, "type": "Cancelled", "message": "after 0 s"}),
    ]
    assert items_of(RECORDS, "\n".join(lines)) == [
        Points(
            {"time_to_first_token": 255.5, "request_latency": 2000.0, "output_token_count": 9.0},
            time=1_700_000_001.5,
        ),
        Note("Cancelled: after 0 s", "error", time=1_700_000_001.5),
    ]
    assert {RECORDS.units[n] for n in ("time_to_first_token", "request_latency")} == {"ms"}
    assert items_of(RECORDS, RECORDS.example)


@pytest.mark.parametrize("line", ['{"request_start_ns": 1}', '["request_start_ns"]', "{"])
def test_other_lines_are_foreign(line: str) -> None:
    assert RECORDS.reader().read(line) is None


def test_guidellm_distributions(tmp_path: Path) -> None:
    point = read(tmp_path, GUIDELLM)
    assert point == Points(
        {"request_totals/successful": 100.0, "request_totals/errored": 2.0,
         "time_to_first_token_ms/mean": 41.5, "time_to_first_token_ms/count": 100.0,
         "time_to_first_token_ms/p99": 90.0, "text/tokens/input/median": 256.0,
         "duration": 30.0, "rate": 4.0},
        time=1_700_000_000.0,
    )
    assert GUIDELLM.units["time_to_first_token_ms/mean"] == "ms"
    assert GUIDELLM.units["time_to_first_token_ms/count"] == ""


@pytest.mark.parametrize("known", FILES, ids=lambda known: known.name)
def test_every_cut_waits_and_no_cut_is_too_odd(tmp_path: Path, known: FileFormat) -> None:
    data = CASES[known.name].encode()
    path = tmp_path / "cut"
    path.write_bytes(data)
    whole = only_points(items_of_file(known, path))
    for cut in range(0, len(data), 7):
        write = rewriter(known, path)
        before = only_points(write(data[:cut]))
        after = only_points(write(data))
        assert after == whole or before == whole
