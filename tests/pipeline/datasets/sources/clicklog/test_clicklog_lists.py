"""Click logs with several values in a cell, as people have them: histories as text, and impression lists."""

import pytest

from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.clicklog.click_logs import PLAIN, parquet, read, refusal, text, values

HISTORIES = f'{PLAIN}[histories]\nhistorical_item_ids = {{ column = "hist", separator = "," }}\n'


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('"[3, 4]"', [b"3", b"4"]),
        ('"[]"', []),
        ("", []),
        ("[ ]", []),
        ('"3,4"', [b"3", b"4"]),
        ("\"['a', 'b, c']\"", [b"a", b"b, c"]),
        ('"[""a"", null, ""it\'s""]"', [b"a", b"it's"]),
        ("\"['a', nan, None]\"", [b"a"]),
        ('"[3.0, nan]"', [b"3"]),
        ('"3,,4,"', [b"3", b"4"]),
        ('"3, 4 "', [b"3", b"4"]),
        ('"[3., 4.]"', [b"3", b"4"]),
        ('"[np.int64(3), np.float64(nan), NULL, <NA>]"', [b"3"]),
        ("\"[np.str_('a b'), np.str_('c')]\"", [b"a b", b"c"]),
        ('"(3, 4)"', [b"3", b"4"]),
        ('"(3,)"', [b"3"]),
        ("\"('a', 'b')\"", [b"a", b"b"]),
        ('"{3,4}"', [b"3", b"4"]),
        ('"[a],[b]"', [b"[a]", b"[b]"]),
        ("(unknown)", [b"(unknown)"]),
    ],
)
def test_a_list_as_text_is_read_as_its_writer_meant_it(tmp_path, cell, expected):
    """Case 2, as pandas, JSON and plain separators write lists. Empty events are no events."""
    log = text(tmp_path / "log.csv", f"user,item,hist\n0,0,{cell}\n")
    tally = Tally()
    assert values(log, HISTORIES, "historical_item_ids", tally) == [expected]
    assert any("hist are written in brackets" in note for note in tally.notes) == (
        cell.strip('"')[:1] in [*"[({"] and "a],[" not in cell and "unknown" not in cell
    )


@pytest.mark.parametrize(
    ("cell", "separator"),
    [
        ("[1 2 ... 8 9]", " "),
        ("['a' 'b' ... 'z']", " "),
        ("[1, 2, ..., 9]", ","),
        ("['a', ..., 'z']", ","),
        ("[[1, 2], [3]]", ","),
        ("[(1, 5), (2, 4)]", ","),
        ("array([1, 2])", ","),
        ("[1, 2", ","),
    ],
)
def test_lists_of_which_a_part_is_missing_or_nested_are_refused(tmp_path, cell, separator):
    """NumPy writes `...` for elements of long lists; the other cells would become events such as `(1`."""
    log = text(tmp_path / "log.csv", f'user,item,hist\n0,0,"{cell}"\n')
    message = refusal(log, HISTORIES.replace('","', f'"{separator}"'))
    assert "hist is" in message and cell in message and "but must be a list separated by" in message


def test_events_without_a_value_are_counted(tmp_path):
    log = text(tmp_path / "log.csv", 'user,item,hist\n0,0,"3,,-1"\n0,0,"[nan, 0]"\n')
    tally = Tally()
    mapping = f'{HISTORIES}[types]\ncandidate_item_id = "int64"\n[missing]\nhistorical_item_ids = ["0"]\n'
    assert values(log, mapping, "historical_item_ids", tally) == [[3], []]
    assert tally.notes["events of hist have no value and are left out"] == 4
    assert "hist is \"{'a', 'b'}\", but must be a list separated by ','" in refusal(
        text(log, "user,item,hist\n0,0,\"{'a', 'b'}\"\n"), HISTORIES
    )
    assert "hist is \"('ab')\", but must be a list separated by ','" in refusal(text(log, "user,item,hist\n0,0,\"('ab')\"\n"), HISTORIES)
    assert "hist is 'x,1', but must be a list separated by ',' (a whole number from 0 up each)" in refusal(
        text(log, 'user,item,hist\n0,0,"x,1"\n'), mapping
    )


def test_lists_of_one_row_lose_the_same_events(tmp_path):
    """The second event has no item; the third has no category; in the last row the lists do not go together."""
    log = tmp_path / "log.parquet"
    parquet(
        log,
        user=[1, 1],
        item=[1, 1],
        hist=[["a", None, "c"], ["a", ""]],
        cates=[["x", "y", None], ["x", "", "z"]],
        times=[[1, 2, 3], [4, 5]],
    )
    mapping = (
        f'{PLAIN}[histories]\nhistorical_item_ids = {{ column = "hist" }}\nhistorical_category_ids = {{ column = "cates" }}\n'
        'historical_timestamps = { column = "times" }\n'
    )
    first, second = read(log, mapping)
    assert (first["historical_item_ids"], first["historical_category_ids"]) == ([b"a", b"c"], [b"x", b"(unknown)"])
    assert (second["historical_item_ids"], second["historical_category_ids"]) == ([b"a"], [b"x", b"z"])
    assert (first["historical_timestamps"], second["historical_timestamps"]) == ([1, 3], [4])
    numbers = f'{mapping}[types]\ncandidate_category_id = "int64"\nhistorical_category_ids = "int64"\n'
    parquet(log, user=[1], item=[1], hist=[["a", "b"]], cates=[[1, None]], times=[[1, 2]])
    assert "cates is [1, None], but must be a list (a whole number from 0 up each)" in refusal(
        log, numbers.replace('candidate_category_id = "int64"\n', "")
    )


def test_numpy_writes_lists_with_blanks(tmp_path):
    log = text(tmp_path / "log.csv", "user,item,hist\n0,0,[ 3  4\n0,0,\"['a b' 'c']\"\n".replace("4\n", "4]\n"))
    assert values(log, HISTORIES.replace('","', '" "'), "historical_item_ids") == [[b"3", b"4"], [b"a b", b"c"]]
    assert "hist is \"['a b' 'c']\", but must be a list" in refusal(log, HISTORIES)  # Python would make one text of the two


def test_a_history_that_cannot_be_built_is_refused(tmp_path):
    log = text(tmp_path / "log.csv", "user,item,hist\nu,i,\n")
    assert 'history = "earlier" needs columns.timestamp' in refusal(log, f'history = "earlier"\n{PLAIN}')
    assert "history has no effect where [histories] gives them: remove one" in refusal(log, f'history = "before"\n{HISTORIES}')


MIND = """
[columns]
user_id = "user"
timestamp = "time"
[timestamp]
format = "%m/%d/%Y %I:%M:%S %p"
[files]
format = "csv"
separator = "\\t"
quote = ""
header = false
names = ["impression", "user", "time", "history", "impressions"]
[histories]
historical_item_ids = { column = "history", separator = " " }
[impressions]
column = "impressions"
"""


def test_a_cell_holds_a_whole_impression_list(tmp_path):
    """Case 7, in the form of MIND's behaviors.tsv: no header, items with labels in one cell."""
    log = text(
        tmp_path / "behaviors.log",
        "1\tU1\t11/15/2019 8:55:22 AM\tN10 N11\tN1-0 N2-1\n2\tU2\t11/15/2019 8:55:23 AM\t\tN-3-1 \n3\tU2\t11/15/2019 8:55:24 AM\t\t\n",
    )
    tally = Tally()
    rows = read(log, MIND, tally)
    assert [(row["user_id"], row["candidate_item_id"], row["label"], row["historical_item_ids"]) for row in rows] == [
        (b"U1", b"N1", 0, [b"N10", b"N11"]),
        (b"U1", b"N2", 1, [b"N10", b"N11"]),
        (b"U2", b"N-3", 1, []),
    ]
    assert rows[0]["request_id"] == rows[1]["request_id"] != rows[2]["request_id"]
    assert rows[0]["timestamp"] == 1_573_808_122
    assert tally.dropped == {"impressions has no item": 1}
    own = MIND.replace('user_id = "user"', 'user_id = "user"\nrequest_id = "impression"')
    assert values(log, own, "request_id") == [b"1", b"1", b"2"]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("N1-0 N2", "impressions is 'N1-0 N2', but must be items with labels, as in N1-0 N2-1"),
        ("N1-0 N2-x", "a label of impressions is 'x', but must be 0 or 1"),
        ("N1-0 -1", "an item of impressions is missing, but must be text or a whole number"),
    ],
)
def test_broken_impression_lists_are_named(tmp_path, cell, fault):
    log = text(tmp_path / "behaviors.log", f"1\tU1\t11/15/2019 8:55:22 AM\t\tN1-1\n1\tU1\t11/15/2019 8:55:22 AM\t\t{cell}\n")
    assert f"behaviors.log, line 2: {fault}" in refusal(log, MIND)
    tally = Tally(skip_broken=True)
    assert values(log, MIND, "candidate_item_id", tally)[0] == b"N1" and tally.dropped == {"broken lines": 1}


def test_impression_lists_of_json(tmp_path):
    log = text(tmp_path / "log.jsonl", '{"user": 1, "shown": ["a-1", "b-0"]}\n{"user": 2, "shown": []}\n')
    mapping = '[columns]\nuser_id = "user"\n[impressions]\ncolumn = "shown"\n'
    assert [(row["candidate_item_id"], row["label"]) for row in read(log, mapping)] == [(b"a", 1), (b"b", 0)]
    log = parquet(tmp_path / "log.parquet", user=[1], shown=[[{"item": "a", "label": 1}]])
    assert "row 1: shown is [{'item': 'a', 'label': 1}], but must be items with labels" in refusal(log, mapping)
