"""Tables as people write them: quotes, escapes, encodings, packed files, and the line of whatever is broken."""

import bz2
import csv
import gzip
import io
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.base.errors import InputError
from pipeline.datasets.tables import raw_rows, record_splitter, text_stream
from pipeline.datasets.tables.read_table import column_names, read_table
from pipeline.datasets.tables.table_form import TableForm
from pipeline.datasets.tables.text_lines import read_lines

XY = ("x", "y")


def read(path: Path, wanted=XY, form: TableForm | None = None) -> tuple[list[tuple], dict[int, str]]:
    """Returns (number, values …) of each row, and what is wrong with broken ones."""
    rows, broken = [], {}
    for part in read_table(path, wanted, form):
        values = part.columns.to_pylist()
        rows += [(int(number), *row.values()) for number, row in zip(part.numbers, values, strict=True)]
        broken |= part.broken
    return rows, broken


def table(tmp_path: Path, content: str | bytes, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path, wanted=XY, form: TableForm | None = None) -> str:
    with pytest.raises(InputError) as error:
        read(path, wanted, form)
    return str(error.value)


def test_a_quoted_value_may_go_over_lines(tmp_path):
    """Case 1: each row has the number of its first line."""
    path = table(tmp_path, 'x,y\n1,"nice,\nwell made"\n\n2,"a ""b"""\n3\n4,d\n')
    assert read(path) == (
        [(2, "1", "nice,\nwell made"), (5, "2", 'a "b"'), (7, "4", "d")],
        {6: "it has 1 value(s) where the header has 2"},
    )


@pytest.mark.parametrize("escape", ["", "\\"])
@pytest.mark.parametrize("block", [5, 16, 2**22])
def test_what_a_writer_of_csv_writes_is_read(tmp_path, monkeypatch, escape, block):
    """Random values, written by Python's csv; rows and lines stay right whatever part of a row a block ends in."""
    monkeypatch.setattr(text_stream, "BLOCK", block)
    draw = random.Random(block)
    for _ in range(60):
        rows = [tuple("".join(draw.choices('ab,"\né \\', k=draw.randrange(5))) for _ in XY) for _ in range(draw.randrange(1, 9))]
        text, lines = io.StringIO(newline=""), []
        end = draw.choice(["\n", "\r\n"])
        quoting = csv.QUOTE_MINIMAL if escape else draw.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
        writer = csv.writer(text, lineterminator=end, escapechar=escape or None, doublequote=not escape, quoting=quoting)
        writer.writerow(XY)
        for row in rows:
            lines.append(text.getvalue().count("\n") + 1)
            writer.writerow(row)
        path = table(tmp_path, text.getvalue())
        assert read(path, form=TableForm(escape=escape)) == ([(line, *row) for line, row in zip(lines, rows, strict=True)], {})


def test_random_quotes_are_read_as_the_strict_reader_of_python_does(tmp_path, monkeypatch):
    draw = random.Random(0)
    for _ in range(250):
        monkeypatch.setattr(text_stream, "BLOCK", draw.choice([5, 16, 2**22]))
        text = "x,y\n" + "".join(draw.choices(["a", ",", '"', "\n", "b,", '"\n', '\n"', ',"'], k=draw.randrange(1, 40)))
        path = table(tmp_path, text)
        rows, broken = read(path)
        try:
            expected = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row][1:]
        except csv.Error:
            assert broken, text
        else:
            assert [row[1:] for row in rows] == [row for row in expected if len(row) == 2], text
            assert len(broken) == len([row for row in expected if len(row) != 2])


def test_a_header_between_rows_is_no_row(tmp_path):
    """Two files of CSV, one after the other."""
    path = table(tmp_path, "\ufeffx,y\n1,y\n\ufeffx,y\nx,2\n")
    assert read(path) == ([(2, "1", "y"), (4, "x", "2")], {3: "it is the header again"})
    assert len(read(path, ("1", "2"), TableForm(header=False))[0]) == 4


def test_excels_line_before_the_header_is_no_row(tmp_path):
    form = TableForm(separator=";")
    assert read(table(tmp_path, "\ufeffsep=;\r\n\r\nx;y\r\n1;2\r\n"), form=form) == ([(4, "1", "2")], {})
    plain = TableForm(header=False)
    assert read(table(tmp_path, "sep=,\n1,2\n3\n"), ("1", "2"), plain) == ([(2, "1", "2")], {3: "it has 1 value(s), but must have 2"})
    assert column_names(table(tmp_path, "sep=;\nx;y\n")) == ["sep=;"]  # another separator than that of the form


def test_mysql_writes_no_value_as_an_escaped_n(tmp_path):
    path = table(tmp_path, "x\ty\n\\N\t\\N\na\\N\tN\n\\\\N\t1\n", "t.tsv")
    assert read(path, form=TableForm(escape="\\")) == ([(2, "", ""), (3, "aN", "N"), (4, "\\N", "1")], {})
    assert read(path)[0][0] == (2, "\\N", "\\N")


def test_another_separator_in_a_header_with_quotes_is_said(tmp_path):
    assert 'the quoted value that begins with "x";"y" is not followed by the separator \',\'' in refusal(table(tmp_path, '"x";"y"\n1;2\n'))


def test_a_stray_quote_costs_its_own_line(tmp_path):
    """Case 9: Arrow's reader alone would make one value of lines 2 to 4."""
    path = table(tmp_path, 'x\ty\n1\t"A title\n2\tsound\n3\t"Quoted" title\n4\tsound 5" disk\n', "t.tsv")
    rows, broken = read(path)
    assert rows == [(3, "2", "sound"), (5, "4", 'sound 5" disk')]
    assert list(broken) == [2, 4]
    assert broken[2].startswith('the quoted value that begins with "A title is not followed by the separator')
    assert 'needs files.quote = ""' in broken[4]
    assert read(path, form=TableForm(quote=""))[0] == [
        (2, "1", '"A title'),
        (3, "2", "sound"),
        (4, "3", '"Quoted" title'),
        (5, "4", 'sound 5" disk'),
    ]


def test_a_quote_that_never_ends_costs_its_own_line(tmp_path, monkeypatch):
    path = table(tmp_path, 'x,y\n1,a\n2,"b\n3,c\n4,d')
    for limit in (record_splitter.RECORD_LIMIT, 8):
        monkeypatch.setattr(record_splitter, "RECORD_LIMIT", limit)
        monkeypatch.setattr(text_stream, "BLOCK", min(limit, 5))
        rows, broken = read(path)
        assert rows == [(2, "1", "a"), (4, "3", "c"), (5, "4", "d")]
        assert list(broken) == [3] and 'begins with "b does not end' in broken[3]


def test_escapes_may_hide_quotes_separators_and_line_ends(tmp_path):
    path = table(tmp_path, 'x,y\n1,"say \\"hi\\", then\nbye"\n2,a\\,b\\\nc\n3,d\\\\\n4,"e\\\\"\n')
    assert read(path, form=TableForm(escape="\\")) == (
        [(2, "1", 'say "hi", then\nbye'), (4, "2", "a,b\nc"), (6, "3", "d\\"), (7, "4", "e\\")],
        {},
    )


def test_without_a_header_columns_are_named_by_place_or_by_the_form(tmp_path):
    """Case 7."""
    path = table(tmp_path, "a::1::x\nb::2::y::z\nc::3::\n", "ratings.dat")
    form = TableForm(format="csv", separator="::", header=False)
    assert column_names(path, form) == ["1", "2", "3"]
    assert read(path, ("3", "1"), form) == ([(1, "x", "a"), (3, "", "c")], {2: "it has 4 value(s), but must have 3"})
    named = TableForm(format="csv", separator="::", header=False, names=("user", "item", "what"))
    latin = table(tmp_path, b"1::2::caf\xe9\n3::4::x\n", "latin.dat")
    assert read(latin, ("user", "item"), named) == ([(1, "1", "2"), (2, "3", "4")], {})  # the first row has no names to read
    assert read(path, ("item",), named)[0] == [(1, "1"), (3, "3")]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lambda b: pa.compress(b, codec="zstd", asbytes=True)])
def test_files_are_unpacked_by_their_content(tmp_path, pack):
    for name in ("t.csv", "t.csv.gz", "t.csv.bz2", "t.csv.zst"):
        path = table(tmp_path, pack(b"x,y\n1,2\n"), name)
        assert read(path) == ([(2, "1", "2")], {}) and column_names(path) == ["x", "y"]
    if pack is not bytes:
        path.write_bytes(path.read_bytes()[:-5])
        assert "t.csv.zst cannot be read (Truncated compressed stream): download it again." in refusal(path)


@pytest.mark.parametrize(
    ("text", "lines"), [("x,y\r1,2\r3,4\r", [2, 3]), ("x,y\r\n1,2\r\n\r\n3,4", [2, 4]), ("\ufeffx,y\n1,2\n3,4\n", [2, 3])]
)
def test_line_ends_and_byte_order_marks(tmp_path, text, lines):
    assert read(table(tmp_path, text)) == ([(lines[0], "1", "2"), (lines[1], "3", "4")], {})


def test_a_lone_carriage_return_is_only_for_quoted_values(tmp_path):
    path = table(tmp_path, 'x,y\n1,"a\rb"\n2\r2,b\n')
    assert read(path) == ([(2, "1", "a\rb")], {3: "it has a carriage return (CR) in a value that is not quoted"})


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-8-sig", "gbk", "shift_jis"])
@pytest.mark.parametrize("block", [3, 2**22])
def test_encodings(tmp_path, monkeypatch, encoding, block):
    monkeypatch.setattr(text_stream, "BLOCK", block)
    value = {"gbk": "价格", "shift_jis": "値段"}.get(encoding, "é")
    path = table(tmp_path, f"x,y\n1,{value}\n".encode(encoding))
    assert read(path, form=TableForm(encoding=encoding)) == ([(2, "1", value)], {})


def test_bytes_that_are_not_text_are_named(tmp_path):
    """Case 10: line, column, value, and the key to set."""
    path = table(tmp_path, "x,y\n1,Malmö\n2,Ystad\n3,ö,4\n".encode("latin-1"))
    assert read(path) == (
        [(3, "2", "Ystad")],
        {
            2: "y is b'Malm\\xf6', which is not text in UTF-8 (of a click log, set files.encoding in the mapping)",
            4: "it has 3 value(s) where the header has 2",
        },
    )
    assert read(path, ("x",))[0] == [(2, "1"), (3, "2")]  # a column that is not wanted does no harm
    path = table(tmp_path, "x,größe\n1,2\n".encode("latin-1"))
    assert "t.csv, line 1: the header has b'" in refusal(path) and "files.encoding" in refusal(path)
    path = table(tmp_path, b"x,y\n1,2\n3,\x81\xff\n")
    assert refusal(path, form=TableForm(encoding="gbk")).startswith(
        f"{path} cannot be read as gbk (line 3, character 3: b'\\x81' is not text: illegal multibyte sequence): set files.encoding"
    )


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.csv.gz"])
def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path, monkeypatch, name):
    """Case 12."""
    monkeypatch.setattr(record_splitter, "RECORD_LIMIT", 1000)
    monkeypatch.setattr(text_stream, "BLOCK", 64)
    path = table(tmp_path, gzip.compress(b"x,y\n1,2\n" + b"0" * 10**7), name)
    if name.endswith(".jsonl"):
        path.write_bytes(b'{"x": 1, "y": 2}\n\n"' + b"0" * 2000)
    assert f"{name}, line 3 has more than 1,000 bytes: it is damaged, or is not a table in text." in refusal(path)


def test_odd_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    assert "pipe.csv is a pipe or a device, not a file" in refusal(tmp_path / "pipe.csv")
    assert "folder, not a file" in refusal(tmp_path, form=TableForm(format="csv"))
    assert "is missing" in refusal(tmp_path / "none.csv")
    assert "is empty" in refusal(table(tmp_path, "\n\n"))
    assert "is a zip archive" in refusal(table(tmp_path, b"PK\x03\x04rest"))
    assert "is Parquet, not text" in refusal(table(tmp_path, b"PAR1rest"))
    assert "looks like UTF-16" in refusal(table(tmp_path, "x,y\n".encode("utf-16")))
    assert "cannot be read" in refusal(table(tmp_path, b"PAR1 no more", "t.parquet"))
    assert "its name must end in .csv" in refusal(table(tmp_path, "x,y\n", "t.xls"))
    assert "t.csv, line 1: the quoted value" in refusal(table(tmp_path, 'x,"y" z\n1,2\n'))


def test_columns_are_there_once(tmp_path):
    assert "has no column 'y' (it has: x, z): name one of these" in refusal(table(tmp_path, "x,z\n1,2\n"))
    assert "has several columns 'y': rename all but one." in refusal(table(tmp_path, "x,y,y\n1,2,3\n"))
    assert read(table(tmp_path, "x,,y,,\n1,2,3,4,5\n"))[0] == [(2, "1", "3")]
    assert "has no column 'y' (it has: x, ' y'): name one of these" in refusal(table(tmp_path, "x, y\n1,2\n"))


def test_tables_without_rows(tmp_path):
    assert read(table(tmp_path, "x,y\n")) == ([], {})
    assert read(table(tmp_path, "", "t.jsonl")) == ([], {})
    pq.write_table(pa.table({"x": pa.array([], pa.int64()), "y": pa.array([], pa.int64())}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet") == ([], {})


JSON = [
    ({"x": 1, "y": [1, 2]}, {"x": None, "y": []}, {"y": None}),
    ({"x": "2016-05-01", "y": ["2016-05-01"]}, {"x": "a", "y": ["b"]}),
    ({"x": True, "y": 1.5}, {"x": False, "y": -2}),
]


@pytest.mark.parametrize("rows", JSON)
def test_json_keeps_types_and_texts(tmp_path, rows):
    path = table(tmp_path, "\n\n".join(map(json.dumps, rows)), "t.jsonl")
    assert read(path) == ([(2 * place + 1, row.get("x"), row.get("y")) for place, row in enumerate(rows)], {})


def test_json_keeps_the_digits_of_long_ids(tmp_path):
    """Arrow's reader alone makes floats of the first two, and refuses the third."""
    for other in ("1.5", str(2**64), '"a"'):
        path = table(tmp_path, f'{{"x": 9007199254740993, "y": 1}}\n{{"x": {other}, "y": 2}}\n', "t.jsonl")
        assert [row[1] for row in read(path)[0]] == ["9007199254740993", other.strip('"')]
        path = table(tmp_path, f'{{"x": [9007199254740993], "y": 1}}\n{{"x": [{other}], "y": 2}}\n', "t.jsonl")
        assert [row[1] for row in read(path)[0]] == [["9007199254740993"], [other.strip('"')]]


def test_json_lines_that_are_no_objects_are_named(tmp_path, monkeypatch):
    lines = ['{"x": 1, "y": 2}', "{", '{"x": 1} {"x": 2}', "[1]", '{"x": {"a": 1}, "y": 1}', '{"x": "\\ud800"}', '{"x": 7, "x": 8}', "5"]
    for block in (8, 2**22):
        monkeypatch.setattr(text_stream, "BLOCK", block)
        rows, broken = read(table(tmp_path, "\n".join(lines), "t.jsonl"))
        assert [row[0] for row in rows if row[0] != 5] == [1, 7] and str(rows[-1][1]) == "8"
        assert {2, 3, 4, 6, 8} <= broken.keys() <= {2, 3, 4, 5, 6, 8}
        assert broken[2] == "it is not a JSON object; each line must be one"
    assert broken[5] == "x is {'a': 1}, but must be a single value"
    assert "x is '\\ud800', which is not text in UTF-8" in broken[6]
    rows, broken = read(table(tmp_path, b'{"x": "\xf6", "y": 1}\n{"x": 1, "y": 1}\n', "t.jsonl"))
    assert rows == [(2, 1, 1)] and "x is '\\udcf6', which is not text" in broken[1] and "files.encoding" in broken[1]


@pytest.mark.parametrize("other", ['{"a": 3}', '{"a": "b"}', '[{"a": [1]}]'])
def test_columns_of_objects_do_no_harm_to_others(tmp_path, other):
    """The last line makes Arrow's reader refuse all of them."""
    path = table(tmp_path, f'{{"x": {{"a": 1}}, "y": 1}}\n{{"x": {other}, "y": 2}}\n{{"x": null, "y": "c"}}\n', "t.jsonl")
    rows, broken = read(path)
    assert [row[2] for row in rows] == ["1", "2", "c"] and broken == {} and isinstance(rows[0][1], dict)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"x": 1, "y": 2},\n{"x": 1, "y": 2}]', "is one JSON list: write one object on each line, for example with `jq -c '.[]'`."),
        ('\n[\n {\n  "x": 1}]', "is one JSON list: write one object on each line"),
        ('{\r\n "x": 1,\n "y": 2}\n', "has JSON objects over several lines: write one object on each line, for example with `jq -c .`."),
    ],
)
def test_json_that_is_not_in_lines_is_refused(tmp_path, text, message):
    assert message in refusal(table(tmp_path, text, "t.json"))


def test_json_that_is_not_text_is_named(tmp_path):
    """Case 10, in JSON: in a column that is not wanted it does no harm."""
    path = table(tmp_path, '{"x": 1, "y": "a", "z": "ö"}\n{"x": 2, "y": "ö", "z": ""}\n'.encode("latin-1"), "t.jsonl")
    assert read(path) == (
        [(1, 1, "a")],
        {2: "y is '\\udcf6', which is not text in UTF-8 (of a click log, set files.encoding in the mapping)"},
    )
    assert read(path, ("x",)) == ([(1, 1), (2, 2)], {})


def test_deep_json_is_a_broken_line(tmp_path):
    """Arrow's reader alone ends the process."""
    deep = f'{{"x": {"[" * 200_000}{"]" * 200_000}, "y": 1}}'
    assert read(table(tmp_path, f'{{"x": 1, "y": 2}}\n{deep}\n', "t.jsonl")) == (
        [(1, 1, 2)],
        {2: "it is not a JSON object; each line must be one"},
    )


def test_a_header_of_millions_of_columns_is_refused(tmp_path):
    message = refusal(table(tmp_path, "," * 1_000_000 + "\n1,2\n"))
    assert "line 1: the header has more than 20,000 columns: it is damaged, or not a table in CSV." in message
    rows, broken = read(table(tmp_path, "x,y\n" + "," * 1_000_000 + "\n1,2\n"))
    assert rows == [(3, "1", "2")] and broken == {2: "it has 1000001 value(s) where the header has 2"}


def test_parquet_numbers_its_rows(tmp_path):
    columns = {"x": pa.array(["a", None, "a"]).dictionary_encode(), "y": [[1], None, []]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=2)
    assert read(tmp_path / "t.parquet") == ([(1, "a", [1]), (2, None, None), (3, "a", [])], {})


def test_batches_are_bounded_and_keep_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_rows, "BATCH_SIZE", 2)
    path = table(tmp_path, "x,y\n1,a\n2\n3,c\n4,d\n5\n6\n7,g\n8\n")
    parts = list(read_table(path, XY))
    assert [part.numbers.tolist() for part in parts] == [[2, 4], [5, 8]]
    assert [list(part.broken) for part in parts] == [[3], [6, 7, 9]]


def test_lines_have_numbers(tmp_path):
    path = table(tmp_path, gzip.compress(b"\xef\xbb\xbfa\r\n\nb\xff\n"), "t.gz")
    assert list(read_lines(path)) == [(1, "a"), (3, "b\udcff")]
