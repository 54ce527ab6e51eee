"""Results and samples of lm-evaluation-harness, and Megatron's golden values."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from growing import only_points, rewriter
from hypothesis import given
from hypothesis import strategies as st
from reading import items_of, items_of_file

from llmtop.formats import golden
from llmtop.formats.base import About, FileFormat, LineFormat, Points
from llmtop.formats.documents import objects_in, outline
from llmtop.formats.lmeval import FORMATS

RESULTS, SAMPLES = FORMATS
assert isinstance(RESULTS, FileFormat)
assert isinstance(SAMPLES, LineFormat)
(GOLDEN,) = golden.FORMATS

NEW = {
    "results": {
        "piqa": {"alias": "piqa", "acc,none": 0.67, "acc_stderr,none": 0.01},
        "mmlu": {"alias": "mmlu", "acc,none": 0.5, "acc_stderr,none": "N/A"},
    },
    "versions": {"piqa": 1.0}, "n-shot": {"piqa": 0}, "model_name": "org/model",
    "config": {"model": "hf", "model_args": "pretrained=org/model", "limit": None},
    "date": 1_700_000_000.5, "total_evaluation_time_seconds": "12.5",
}
OLD = {
    "results": {"arc": {"acc": 0.25, "acc_stderr": 0.01, "acc_norm": 0.5}, "qa": {"em": 0.1}},
    "versions": {"arc": 0, "qa": 0},
}


def test_results_since_0_4(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(NEW, indent=2))
    assert RESULTS.sniff(path, path.read_bytes())
    assert items_of_file(RESULTS, path) == [
        About("org/model", "eval", tags={"model": "hf", "model_args": "pretrained=org/model"}),
        Points(
            {"piqa/acc,none": 0.67, "piqa/acc_stderr,none": 0.01, "mmlu/acc,none": 0.5},
            time=1_700_000_000.5,
        ),
    ]


def test_results_before_0_4(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(OLD))
    assert RESULTS.sniff(path, path.read_bytes()[:60])
    assert only_points(items_of_file(RESULTS, path)) == [
        Points({"arc/acc": 0.25, "arc/acc_stderr": 0.01, "arc/acc_norm": 0.5, "qa/em": 0.1})
    ]


@pytest.mark.parametrize(
    "head",
    [b"", b"[]", b'{"results": {}}', b'{"results": [1]}', b'{"results": {"a": {"b": 1}}}',
     b'{"a": {"results": {"b": {"acc,none": 1}}}}', b'{"eval_loss": 1.0, "eval_runtime": 2}'],
)
def test_other_files_are_no_results(tmp_path: Path, head: bytes) -> None:
    assert not RESULTS.sniff(tmp_path / "results.json", head)


def test_shares_are_said_to_be_ratios() -> None:
    for name in ("arc/acc", "piqa/acc_stderr,none", "pass@1", "mmlu/exact_match,strict-match"):
        assert RESULTS.units.get(name) == "ratio"
    for name in ("wikitext/word_perplexity,none", "x/bleu,none", "doc_id"):
        assert RESULTS.units.get(name) is None


def sample(number: int, *, filtered: str = "none", **metrics: object) -> str:
    return json.dumps(
        {"doc_id": number, "doc": {"loss": 3.0}, "target": "4", "resps": [["4"]],
         "filtered_resps": ["4"], "filter": filtered, "metrics": list(metrics), **metrics}
    )


def test_samples_are_scores_by_document() -> None:
    text = "\n".join([sample(0, acc=1.0), sample(1, acc=False, perplexity=[-3.5, 7]), ""])
    assert items_of(SAMPLES, text) == [
        Points({"doc_id": 0.0, "acc": 1.0}, 0), Points({"doc_id": 1.0, "acc": 0.0}, 1),
    ]


def test_a_second_filter_has_its_own_names() -> None:
    text = "\n".join([sample(0, filtered="strict", em=1.0), sample(0, filtered="flexible", em=0.5)])
    assert items_of(SAMPLES, text) == [
        Points({"doc_id": 0.0, "em": 1.0}, 0), Points({"doc_id": 0.0, "em,flexible": 0.5}, 0),
    ]


@pytest.mark.parametrize(
    "line", ['{"doc_id": 1}', '{"doc_id": "a", "resps": []}', '["doc_id"]', '"doc_id"', '{"doc_id"']
)
def test_other_lines_are_foreign(line: str) -> None:
    assert SAMPLES.reader().read(line) is None


def test_the_examples_are_read() -> None:
    assert items_of(SAMPLES, SAMPLES.example)


def series(values: object) -> dict[str, object]:
    return {"start_step": 1, "end_step": 3, "step_interval": 1, "values": values}


def test_golden_values_by_step(tmp_path: Path) -> None:
    path = tmp_path / "golden.json"
    path.write_text(json.dumps({
        "lm loss": series({"1": 10.5, "2": "nan", "10": 9.5}),
        "iteration-time": series([5.0, 0.5]),
    }))
    assert GOLDEN.sniff(path, path.read_bytes())
    found = only_points(items_of_file(GOLDEN, path))
    assert [point.step for point in found] == [1, 2, 10]
    assert found[0].values == {"lm loss": 10.5, "iteration-time": 5.0}
    assert math.isnan(found[1].values["lm loss"])
    assert not GOLDEN.sniff(path, b'{"a": {"start_step": 1, "values": []}}')


def test_a_rewritten_file_tells_only_what_is_new(tmp_path: Path) -> None:
    write = rewriter(GOLDEN, tmp_path / "golden.json")
    text = json.dumps({"loss": series({"1": 3.0, "2": float("nan")})}).encode()
    assert [point.step for point in only_points(write(text))] == [1, 2]
    assert write(text[:-20]) == []
    longer = json.dumps({"loss": series({"1": 3.0, "2": float("nan"), "3": 1.0})}).encode()
    assert [point.step for point in only_points(write(longer))] == [3]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["results", "values", "start_step", "step_interval", "a/b", "date",
                         "config", "versions", "1", "acc,none"]), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["results", "config", "loss", "date"]), json_values))
def test_no_document_is_too_odd(tmp_path_factory, document: object) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "odd.json"
    path.write_text(json.dumps(document))
    for known in (RESULTS, GOLDEN):
        assert isinstance(known, FileFormat)
        known.sniff(path, path.read_bytes())
        items_of_file(known, path)


@given(st.binary(max_size=200))
def test_any_bytes_have_an_outline(data: bytes) -> None:
    for head in (data, b"{" + data):
        outline(head)
        objects_in(head)


@given(st.dictionaries(st.text(max_size=8), st.dictionaries(st.text(max_size=3), st.integers())))
def test_an_outline_has_the_keys_that_json_has(document: dict[str, dict[str, int]]) -> None:
    escaped = {json.dumps(key)[1:-1]: inner for key, inner in document.items()}
    wanted = set(escaped) | {
        f"{key}/{json.dumps(name)[1:-1]}" for key, inner in escaped.items() for name in inner
    }
    assert outline(json.dumps(document).encode()) == wanted
