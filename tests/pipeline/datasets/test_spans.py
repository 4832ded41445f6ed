"""Spans of a data set: which folders they are, in which order, and which of them a run takes."""

from datetime import date

import pytest

from components.base.errors import DataError, InputError
from pipeline.datasets.spans import choose_span, day_folder, day_number, day_of, find_spans, has_spans, missing_names, spans_before


@pytest.fixture
def data(tmp_path):
    """A function that makes files, each with its folders, and returns the data set."""

    def make(*files):
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        return tmp_path

    return make


def days(data, *dates):
    return data(*(f"day={day}/impressions/part-0" for day in dates))


def test_a_day_has_tfx_s_number():
    """`{YYYY}-{MM}-{DD}` of TFX counts days since 1970-01-01: 56 years with 14 leap days, and 327 days before 24 November."""
    assert day_number(date(2026, 11, 24)) == 56 * 365 + 14 + 327
    assert day_folder(date(2026, 11, 24)) == "day=2026-11-24"
    assert [day_of(time) for time in (86_399, 86_400)] == [date(1970, 1, 1), date(1970, 1, 2)]


def test_days_are_ordered_and_named_by_their_dates(data):
    spans = find_spans(days(data, "2026-11-24", "2025-12-31", "2026-01-01"))
    assert [span.name for span in spans] == ["2025-12-31", "2026-01-01", "2026-11-24"]
    assert spans[1].number == spans[0].number + 1
    assert spans[0].pattern == "day={YYYY}-{MM}-{DD}/impressions/*"


def test_numbered_spans_are_ordered_by_number(data):
    spans = find_spans(data("span-10/train/a", "span-9/train/a"))
    assert [(span.name, span.number, span.pattern) for span in spans] == [
        ("span-9", 9, "span-{SPAN}/*/*"),
        ("span-10", 10, "span-{SPAN}/*/*"),
    ]


def test_the_shards_of_a_span_are_those_of_all_its_splits(data):
    span = find_spans(data("span-1/train/b", "span-1/train/a", "span-1/eval/c", "span-1/validation/d", "span-1/manifest.json"))[0]
    assert [str(shard.relative_to(span.folder)) for shard in span.shards()] == ["eval/c", "train/a", "train/b", "validation/d"]


def test_hidden_folders_and_files_beside_spans_are_no_spans(data):
    spans = find_spans(data("day=2026-11-24/impressions/a", ".tmp/x", "_temporary/x", "manifest.json"))
    assert [span.name for span in spans] == ["2026-11-24"]


@pytest.mark.parametrize("folder", ["2026-11-25", "day=2026-02-30", "day=2026-1-1", "day=1969-12-31", "span-07", "span-x", "raw"])
def test_another_folder_is_named(data, folder):
    where = data("day=2026-11-24/impressions/a", f"{folder}/impressions/a")
    with pytest.raises(DataError, match=f"{folder} is no span: name spans day=YYYY-MM-DD or span-N"):
        find_spans(where)


def test_days_and_numbers_are_not_mixed(data):
    with pytest.raises(DataError, match="holds both days and numbered spans"):
        find_spans(data("day=2026-11-24/impressions/a", "span-1/impressions/a"))


def test_a_folder_without_spans_is_named(data, tmp_path):
    with pytest.raises(DataError, match="holds no spans: name spans day=YYYY-MM-DD"):
        find_spans(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        find_spans(tmp_path / "missing")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["span-1/manifest.json"], "span-1 holds no TFRecord files: a span has them in impressions/, or in train/, validation/, eval/"),
        (["span-1/impressions/a", "span-1/eval/a"], "span-1 has both impressions/ and splits"),
        (["span-1/impressions/a", "span-1/other/a"], "span-1/other is no part of a span"),
    ],
)
def test_an_odd_span_is_named(data, files, message):
    with pytest.raises(DataError, match=message):
        find_spans(data(*files))[0].shards()


def test_has_spans(data, tmp_path):
    assert not has_spans(tmp_path / "missing")
    assert not has_spans(data("train/a"))
    assert has_spans(data("train/a", "day=2026-11-24/impressions/a"))


def test_latest_waits_for_late_labels(data):
    """The newest day is the 24th. The 22nd is missing, so with two days to wait the newest that is old enough is the 21st."""
    spans = find_spans(days(data, "2026-11-20", "2026-11-21", "2026-11-23", "2026-11-24"))
    assert [choose_span(spans, "latest", wait).name for wait in (0, 1, 2, 3)] == ["2026-11-24", "2026-11-23", "2026-11-21", "2026-11-21"]
    with pytest.raises(InputError, match=r"spans\.hold_back is 5, and 2026-11-20 is the oldest"):
        choose_span(spans, "latest", 5)


def test_a_span_is_chosen_by_its_name(data):
    spans = find_spans(days(data, "2026-11-20", "2026-11-21"))
    assert choose_span(spans, "2026-11-20") == choose_span(spans, "day=2026-11-20") == spans[0]
    assert choose_span(spans, "2026-11-20", hold_back=1) == spans[0]
    for other in ("2026-11-22", "", str(spans[0].number)):
        with pytest.raises(InputError, match=f"has no span '{other}': --span can be latest, or one of 2026-11-20 … 2026-11-21"):
            choose_span(spans, other)


def test_a_numbered_span_is_chosen_by_its_number(data):
    spans = find_spans(data("span-7/impressions/a", "span-8/impressions/a"))
    assert choose_span(spans, "7") == choose_span(spans, "span-7") == spans[0]


def test_a_window_is_of_days_not_of_folders(data):
    spans = find_spans(days(data, "2026-11-18", "2026-11-20", "2026-11-21", "2026-11-23", "2026-11-24"))
    window = spans_before(spans, spans[-1], 4)
    assert [span.name for span in window] == ["2026-11-20", "2026-11-21", "2026-11-23"]
    assert missing_names(spans[-1], window) == ["2026-11-22"]
    with pytest.raises(DataError, match="no span in the window of 1 before 2026-11-20, so there is nothing to train on"):
        spans_before(spans, spans[1], 1)
