"""The files of click logs as people have them: quotes, headers, encodings, links and names of any kind, and mappings that are wrong."""

import os

import pytest

from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.clicklog.click_logs import PLAIN, read, refusal, text, values


def test_a_quoted_value_over_two_lines_is_one_row(tmp_path):
    """Case 1 of the issue."""
    log = text(
        tmp_path / "log.csv",
        'user,item,review\nu1,i1,"nice,\nwell, made, really"\nu1,i2,ok\nu1,i3,ok\nu2,i1,ok\nu2,i2,ok\nu2,i3,ok\nu2,i4,ok\n',
    )
    found = read(log, PLAIN)
    assert [(row["user_id"], row["candidate_item_id"]) for row in found] == [
        *((b"u1", item) for item in (b"i1", b"i2", b"i3")),
        *((b"u2", item) for item in (b"i1", b"i2", b"i3", b"i4")),
    ]


def test_quotes_and_escapes_are_said_by_the_mapping(tmp_path):
    """Case 9."""
    log = text(tmp_path / "log.tsv", 'user\titem\ttitle\nu\ti\t"A\nu\tj\tB\nu\tk\t"C" D\n')
    assert len(read(log, f'{PLAIN}title = "title"\n[files]\nquote = ""')) == 3
    assert 'line 2: the quoted value that begins with "A is not followed by the separator' in refusal(log, PLAIN)
    log = text(tmp_path / "log.csv", "user,item\n'u, 1','say \\'hi\\''\n")
    assert read(log, f'{PLAIN}[files]\nquote = "\'"\nescape = "\\\\"')[0] == {
        "label": 1,
        "user_id": b"u, 1",
        "candidate_item_id": b"say 'hi'",
    }


def test_without_a_header_columns_are_numbers(tmp_path):
    log = text(tmp_path / "log.dat", "u1::i1::5\nu2::i2::3\n")
    mapping = (
        '[columns]\nuser_id = "1"\ncandidate_item_id = "2"\n[label]\ncolumn = "3"\nat_least = 4\n'
        '[files]\nformat = "csv"\nseparator = "::"\nheader = false\n'
    )
    assert [tuple(row.values()) for row in read(log, mapping)] == [(1, b"u1", b"i1"), (0, b"u2", b"i2")]


@pytest.mark.parametrize(("encoding", "place"), [("latin-1", "Malmö"), ("gbk", "北京")])
def test_bytes_that_are_no_text_name_the_key_to_set(tmp_path, encoding, place):
    """Case 10."""
    log = text(tmp_path / "log.csv", f"user,item,city\nu,i,x\nu,i,{place}\n", encoding)
    message = refusal(log, f'{PLAIN}city = "city"')
    assert f"log.csv, line 3: city is {place.encode(encoding)!r}, which is not text in UTF-8" in message
    assert "set files.encoding in the mapping" in message
    assert values(log, f'{PLAIN}city = "city"\n[files]\nencoding = "{encoding}"', "city") == [b"x", place.encode()]


def test_patterns_stay_below_source(tmp_path):
    """Case 11."""
    (tmp_path / "log" / "sub").mkdir(parents=True)
    for name in ("log/sub/a.csv", "log/b.csv", "outside.csv"):
        text(tmp_path / name, "user,item\nu,i\n")
    for pattern in (f"{tmp_path}/*.csv", "../outside.csv", "sub/../../outside.csv", ""):
        message = refusal(tmp_path / "log", f'{PLAIN}[files]\ntrain = ["{pattern}"]\neval = ["b.csv"]')
        assert f"files.train: {pattern!r} is not below SOURCE: give a pattern relative to it" in message
    mapping = f'{PLAIN}[files]\ntrain = ["sub/../sub/*.csv"]\neval = ["b.csv"]'
    assert values(tmp_path / "log", mapping, "split") == [0, 2]


def test_links_are_followed_and_named(tmp_path):
    """Case 11: neither files nor folders behind symbolic links are passed over, or read twice, without a word."""
    elsewhere, log = tmp_path / "elsewhere", tmp_path / "log"
    elsewhere.mkdir()
    log.mkdir()
    text(log / "a.csv", "user,item\nu,a\n")
    text(elsewhere / "b.csv", "user,item\nu,b\n")
    (log / "days").symlink_to(elsewhere)
    (log / "Z.csv").symlink_to(log / "a.csv")
    (log / "loop").symlink_to(log)
    tally = Tally()
    assert values(log, PLAIN, "candidate_item_id", tally) == [b"a", b"b"]
    assert tally.notes == {
        f"files are read through the symbolic link {log / 'days'} -> {elsewhere}": 1,
        f"files are passed over, since they are others under a second name, such as {log / 'Z.csv'}, which is {log / 'a.csv'}": 1,
    }
    split = f'{PLAIN}[files]\ntrain = ["**/b.csv"]\neval = ["{{}}"]\n'
    assert values(log, split.format("a.csv"), "split") == [0, 2]
    assert "is in train and in eval" in refusal(log, split.replace("b.csv", "a.csv").format("Z.csv"))
    (log / "gone.csv").symlink_to(tmp_path / "nowhere")
    assert "gone.csv is missing" in refusal(log, PLAIN)


def test_names_of_any_kind(tmp_path):
    """Case 11: the mapping says the format; names that say none are passed over with a word."""
    log = tmp_path / "log"
    log.mkdir()
    for name in ("a.inter", "b.txt", "c.dat"):
        text(log / name, "user\titem\nu\ti\n")
    tab = f'{PLAIN}[files]\nformat = "csv"\nseparator = "\\t"\n'
    assert len(read(log, tab)) == 3 and len(read(log / "b.txt", tab)) == 1
    assert "its name must end in .csv" in refusal(log / "b.txt", PLAIN) and "files.format" in refusal(log / "b.txt", PLAIN)
    assert "holds no table" in refusal(log, PLAIN) and "or set files.format in" in refusal(log, PLAIN)
    text(log / "d.csv", "user,item\nu,i\n")
    tally = Tally()
    assert len(read(log, PLAIN, tally)) == 1
    for suffix in (".inter", ".txt", ".dat"):
        assert tally.notes[f"files in {log} are passed over, since their names end in {suffix!r}: files.format takes any name"] == 1


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_pipes_are_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert f"{name} is a pipe or a device, not a file" in refusal(tmp_path / name, PLAIN)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[timestamp]\nunit = "s"\nformat = "%Y"', "unit and format both say how times are written: remove one"),
        ('[timestamp]\nformat = "%Q"', "it is not a form of times"),
        ('[timestamp]\ntime = "t"', 'a column of the time of day needs format, or unit = "iso"'),
        ('[timestamp]\ntime = "t"\nunit = "iso"', "timestamp.time needs columns.timestamp"),
        ('[files]\nquote = "ab"', "files.quote: it must be one character of ASCII, or empty for none"),
        ('[files]\nescape = "é"', "files.escape: it must be one character of ASCII"),
        ('[files]\nquote = ","\nseparator = ","', "separator, quote and escape must differ"),
        ('[files]\nquote = "\'"\nseparator = "::"', "quote and escape need a separator of one character of ASCII, not '::'"),
        ('[files]\nnames = ["a"]', "names are for files without a header: set header = false beside them"),
        ('[files]\nheader = false\nnames = ["a", "a"]', "names has 'a' several times"),
        ('[files]\nformat = "xml"', "files.format: Input should be 'csv', 'json' or 'parquet'"),
        ('[missing]\nplace = ["x"]', "missing.place names no feature; features are candidate_item_id, user_id"),
        ('[impressions]\ncolumn = "x"', "impressions gives the item and its label: remove them from columns and label"),
        ('[impressions]\nseparator = "x"', "it needs the column: set impressions.column"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path, more, message):
    assert message in refusal(text(tmp_path / "log.csv", "user,item,x\nu,i,\n"), PLAIN + more)
