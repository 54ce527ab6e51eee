"""Pages of metrics are read exactly, whatever else is sent is told or skipped, nothing raises."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmtop.sources.scraping.exposition import NotMetricsError, Page, Reader

prometheus_client = pytest.importorskip("prometheus_client", reason="see [test]")
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # noqa: E402
from prometheus_client.exposition import generate_latest  # noqa: E402
from prometheus_client.openmetrics import exposition as openmetrics  # noqa: E402
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402


def read(text: str) -> Page:
    return Reader().read(text)


Key = tuple[str, tuple[tuple[str, str], ...]]


def values(page: Page) -> dict[Key, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): value
        for sample, value in zip(page.samples, page.values, strict=True)
    }


def one(text: str) -> tuple[str, dict[str, str], float]:
    page = read(text)
    assert page.bad == 0
    ((sample, value),) = zip(page.samples, page.values, strict=True)
    return sample.name, sample.labels, value


@pytest.mark.parametrize(("line", "value"), [
    ("a 1", 1.0), ("a 3.5786276864e+010", 3.5786276864e10), ("a +Inf", math.inf),
    ("a -Inf", -math.inf), ("a 03.0", 3.0), ("a .5", 0.5), ("a -1e-3", -0.001), ("a\t1", 1.0),
    ("  a   1  ", 1.0), ("a 1 1700000000000", 1.0), ("a 1 1700000000.123", 1.0), ("a 1\r", 1.0),
    ("a 1 # {trace_id=\"x # y\"} 0.5 1700000000.1", 1.0), ("a{} 1", 1.0), ("a{b=\"c\",} 1", 1.0),
    ("a { b = \"c\" , d=\"e\" } 1", 1.0), ("vllm:a_total 1", 1.0), ("{\"a.b\",c=\"d\"} 1", 1.0),
])  # fmt: skip
def test_lines_of_the_format(line: str, value: float) -> None:
    assert one(line)[2] == value


def test_nan_is_kept() -> None:
    assert math.isnan(one("a NaN")[2])


def test_labels_keep_what_was_escaped() -> None:
    name, labels, value = one('l{a="x\\"y\\\\z\\n",b="{le=\\"1\\"}",c="a b # 2"} 1 1700000000000')
    assert (name, value) == ("l", 1.0)
    assert labels == {"a": 'x"y\\z\n', "b": '{le="1"}', "c": "a b # 2"}


def test_quoted_names_are_names() -> None:
    assert one('{"my.metric",a="b"} 2')[:2] == ("my.metric", {"a": "b"})


@pytest.mark.parametrize("line", [
    "a", "a b", "a{b} 1", 'a{b="c} 1', 'a{b=c} 1', "1a 1", "a 1 2 3", "a 1_000", 'a{b="c"d="e"} 1',
    'a{b="c",b="d"} 1', "a 0x10", "{} 1", "a one", 'a{="b"} 1',
])  # fmt: skip
def test_a_bad_line_is_skipped_and_counted(line: str) -> None:
    page = read(f"good 1\n{line}\nalso_good 2\n")
    assert [sample.name for sample in page.samples] == ["good", "also_good"]
    assert page.bad == 1


def test_a_sample_that_comes_twice_counts_once() -> None:
    page = read('a{x="1",y="2"} 1\na{y="2",x="1"} 7\n')
    assert page.values == [1.0]
    assert page.bad == 1


def test_types_are_told_and_comments_ignored() -> None:
    page = read("# HELP a_b a # TYPE\n# TYPE a_b counter\n#\n# EOF\n# TYPE h histogram \na_b 1\n")
    assert page.types == {"a_b": "counter", "h": "histogram"}


@pytest.mark.parametrize(("body", "what"), [
    ("<html><body>404</body></html>", "HTML"), ("\n <!doctype html>", "HTML"),
    ('[{"iter": 1}]', "JSON"), ('{"a": {"b": 1}}', "JSON"), ("[1, 2]", "JSON"),
    ("not found", "not a page"), ("\x00\x01\x02", "not a page"),
])  # fmt: skip
def test_what_is_no_page_is_said_to_be_something_else(body: str, what: str) -> None:
    with pytest.raises(NotMetricsError, match=what):
        read(body)


def test_an_empty_page_is_a_page() -> None:
    assert read("").samples == []
    assert read("# EOF\n").samples == []


def test_a_page_inside_a_json_string_is_read() -> None:
    text = '# TYPE a gauge\na{b="c"} 1\n'
    assert values(read(json.dumps(text))) == values(read(text))


def test_the_same_samples_are_the_same_objects_on_every_page() -> None:
    reader = Reader()
    first = reader.read('a{x="1",y="2"} 1\nb 2\nc 3 1700000000000\n')
    later = reader.read('a{y="2",x="1"} 4\nb 5\nc 6 1700000001000\n')
    assert first.samples == later.samples
    assert later.values == [4, 5, 6]


def test_names_that_change_with_every_page_do_not_pile_up() -> None:
    reader = Reader()
    for page in range(40):
        reader.read("".join(f'a{{id="{page}-{k}"}} 1\n' for k in range(500)))
    assert len(reader._known) < 12_000
    assert len(reader._heads) < 12_000


names = st.from_regex(r"[a-z_:][a-z0-9_:]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12)


@given(
    st.dictionaries(
        st.tuples(names, st.dictionaries(names.filter(lambda n: ":" not in n), texts, max_size=3)
                  .map(lambda d: tuple(sorted(d.items())))),
        st.floats(width=64), max_size=8,
    )
)
def test_what_is_written_is_read(written: dict[Key, float]) -> None:
    lines = []
    for (name, labels), value in written.items():
        inside = ",".join(
            '{}="{}"'.format(k, v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
            for k, v in labels
        )
        shown = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, repr(value))
        lines.append(f"{name}{{{inside}}} {'NaN' if math.isnan(value) else shown}\n")
    text = "".join(lines)
    reader = Reader()
    for _ in range(2):
        got = values(reader.read(text))
        assert got.keys() == written.keys()
        for key, value in written.items():
            assert got[key] == value or math.isnan(value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except NotMetricsError:
        return


@given(st.data())
def test_any_cut_of_a_page_is_read(data: st.DataObject) -> None:
    text = 'h_bucket{le="0.1",a="\\"x"} 5\nh_bucket{le="+Inf",a="\\"x"} 6 # {t="1"} 2\nh_sum 3.5\n'
    at = data.draw(st.integers(0, len(text)))
    noise = data.draw(st.text('"\\{}=,# \n+e.', max_size=6))
    try:
        page = read(text[:at] + noise + text[at:])
    except NotMetricsError:
        return
    assert all(isinstance(value, float) for value in page.values)


def registry() -> CollectorRegistry:
    found = CollectorRegistry()
    Gauge("load", "it", registry=found).set(math.nan)
    counter = Counter("asked", "it", ["who"], registry=found)
    counter.labels('a"b\\c\nd').inc(3, exemplar={"trace": "x"})
    histogram = Histogram("took_seconds", "it", ["m"], buckets=(0.1, 1, 2.5), registry=found)
    for value in (0.05, 0.5, 0.7, 9):
        histogram.labels("m").observe(value, exemplar={"trace": "y z"})
    return found


def test_text_and_openmetrics_of_the_usual_library_say_the_same() -> None:
    plain = generate_latest(registry()).decode()
    want = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(plain) for sample in family.samples
    }
    for text in (plain, openmetrics.generate_latest(registry()).decode()):
        got = values(read(text))
        kept = {key for key in got if not key[0].endswith("_created")}
        assert kept == {key for key in want if not key[0].endswith("_created")}
        assert all(got[key] == want[key] or math.isnan(want[key]) for key in kept)
