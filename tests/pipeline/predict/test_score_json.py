"""JSON lines in, JSON lines with probabilities out."""

import gzip
import json

import pytest
import tensorflow as tf

from components.base.errors import InputError
from din_trainer.config import ORIGIN_FILE, DINConfig
from din_trainer.features import Column
from din_trainer.raw_inputs import Input
from pipeline.predict import json_lines, score_json
from pipeline.predict.score_json import Scorer, predict_jsonl


class FakeScorer:
    """Scores an impression by its item, and keeps what it was asked."""

    def __init__(self):
        column = Column("item", "int64", "candidate", "required")
        self.features = [Input(column), Input(column._replace(name="device", presence="optional"))]
        self.asked = []

    def prepare(self, row):
        if "item" not in row:
            raise ValueError("feature 'item' is missing")
        return row["item"]

    def score(self, prepared, where):
        self.asked.append((prepared, where.rpartition("/")[2]))
        return [{"probability": item / 10} for item in prepared]


@pytest.fixture
def file(tmp_path):
    """A function that writes lines to a file."""

    def write(*lines):
        path = tmp_path / "rows.jsonl"
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
        return path

    return write


def predict(path, notes=None, scorer=None):
    return list(predict_jsonl(scorer or FakeScorer(), path, [] if notes is None else notes))


def test_rows_keep_their_order_and_get_a_probability(file):
    rows = predict(file('{"item": 3, "user": "é"}', "", '{"item": 1}'))
    assert rows == [{"item": 3, "user": "é", "probability": 0.3}, {"item": 1, "probability": 0.1}]
    assert predict(file("")) == []


def test_a_further_label_has_a_key_of_its_own(file):
    """Such a file can be scored again: the keys that were added are not taken for features."""
    scorer, notes = FakeScorer(), []
    scorer.score = lambda prepared, where: [{"probability": 0.5, "probability_purchase": 0.25} for _ in prepared]
    row = {"item": 3, "device": "a"}
    scored = {**row, "probability": 0.5, "probability_purchase": 0.25}
    assert predict(file(json.dumps(row)), notes, scorer) == [scored]
    assert predict(file(json.dumps(scored)), notes, scorer) == [scored] and notes == []


def test_rows_are_scored_in_batches_that_are_named_by_their_lines(file, monkeypatch):
    monkeypatch.setattr(score_json, "_BATCH", 2)
    scorer = FakeScorer()
    predict(file('{"item": 1}', "", '{"item": 2}', '{"item": 3}'), scorer=scorer)
    assert scorer.asked == [([1, 2], "rows.jsonl, lines 1 to 3"), ([3], "rows.jsonl, line 4")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", r"rows\.jsonl, line 2: a JSON object is needed"),
        ("{}", r"rows\.jsonl, line 2: feature 'item' is missing\.$"),
        ("{", r"rows\.jsonl, line 2 is not JSON \(.*, column 2\): write one JSON object a line\.$"),
        ('{"item": 1} {"item": 2}', r"rows\.jsonl, line 2 is not JSON \(Extra data, column 13\)"),
        (b"\xff", r"rows\.jsonl, line 2 is not UTF-8 at character 1: convert the file to UTF-8\.$"),
        ("[" * 100_000, r"rows\.jsonl, line 2 cannot be read: it is nested too deeply\.$"),
        ('{"item": 1, "item": 2}', r"rows\.jsonl, line 2 cannot be read: the key 'item' occurs twice\.$"),
        ('{"item": 1, "price": Infinity}', r"rows\.jsonl, line 2 cannot be read: the number Infinity is too large\.$"),
        ('{"item": 1, "price": 1e400}', r"rows\.jsonl, line 2 cannot be read: the number 1e400 is too large\.$"),
        ('{"item": ' + "9" * 5_000 + "}", r"rows\.jsonl, line 2 cannot be read: the number 99999999999999999999… is too large\.$"),
        ('{"item"\0: 1}', r"rows\.jsonl, line 2 holds NUL characters: convert the file to UTF-8, if it is UTF-16"),
    ],
)
def test_a_bad_line_is_a_sentence(file, line, message):
    """Case 26 and its neighbours: what could be misread is refused, and the line is named."""
    with pytest.raises(InputError, match=message):
        predict(file('{"item": 1}', line))


@pytest.mark.parametrize(
    "content", [b'\xef\xbb\xbf{"item": 1}\r\n\r\n{"item": 3}\r\n', b'{"item": 1}\r{"item": 3}', b'{"item": 1}\n\xef\xbb\xbf{"item": 3}']
)
def test_a_byte_order_mark_and_every_line_end_are_legal(file, content):
    """Case 26: what Windows and old Macs write, and the files of `cat`."""
    assert [row["probability"] for row in predict(file(content))] == [0.1, 0.3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"item": 1}'.encode("utf-16"), r"rows\.jsonl is UTF-16: convert it to UTF-8"),
        (b"\xfe\xff" + '{"item": 1}'.encode("utf-16-be"), r"rows\.jsonl is UTF-16: convert it to UTF-8"),
        ('{"item": 1}'.encode("utf-16-le"), r"rows\.jsonl, line 1 holds NUL characters"),
        (gzip.compress(b'{"item": 1}', mtime=0), r"rows\.jsonl is gzipped: unpack it"),
    ],
)
def test_a_file_of_another_kind_is_a_sentence(file, content, message):
    with pytest.raises(InputError, match=message):
        predict(file(content))


def test_a_file_without_line_ends_does_not_fill_the_memory(file, monkeypatch):
    monkeypatch.setattr(json_lines, "_LONGEST", 20)
    with pytest.raises(InputError, match=r"rows\.jsonl, line 2 is longer than 20 characters: write one JSON object a line\.$"):
        predict(file('{"item": 1}', "[" * 50))


def test_not_a_number_is_null(file):
    """Python and pandas write it where a number is missing. No other reader of JSON takes it, so it is not written again."""
    assert predict(file('{"item": 1, "price": NaN}')) == [{"item": 1, "price": None, "probability": 0.1}]


def test_what_may_be_a_mistake_is_noted_once(file):
    """Case 26: a key that the model does not read, and a feature that no line has."""
    known = '"label": 1, "timestamp": 5, "request_id": "a", "historical_timestamps": [], "probability": 0.2'
    lines = [f'{{"item": 1, "title": "x", {known}}}', f'{{"item": 2, "device": null, "stage": 1, {known}}}']
    notes = []
    predict(file(*lines), notes)
    assert [note.partition("rows.jsonl: ")[2] for note in notes] == [
        "the model does not read 'stage', 'title'.",
        "no line has 'device', so each counts as missing (a history as empty).",
    ]
    assert notes[0].startswith(f"{file()}: ")
    notes = []
    predict(file('{"item": 1, "device": 4}'), notes)
    assert notes == []


@pytest.mark.parametrize("lines", [[], ["", " "]])
def test_a_file_without_impressions_is_noted(file, lines):
    notes = []
    assert predict(file(*lines), notes) == []
    assert notes == [f"{file()} holds no impressions."]


def test_a_missing_file_and_a_missing_model_are_sentences(tmp_path):
    with pytest.raises(InputError, match=r"nowhere cannot be read \(No such file or directory\): give a JSONL file"):
        predict(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"nowhere holds no saved_model\.pb"):
        Scorer(tmp_path / "nowhere")


def test_a_model_with_other_outputs_is_a_sentence(tmp_path):
    module = tf.Module()
    function = tf.function(lambda examples: {"score": tf.strings.length(examples)}).get_concrete_function(tf.TensorSpec([None], tf.string))
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": function})
    (tmp_path / ORIGIN_FILE).parent.mkdir()
    (tmp_path / ORIGIN_FILE).write_text(json.dumps({"config": DINConfig().model_dump(mode="json")}))
    with pytest.raises(InputError, match="has no signature serving_default that gives 'probability'"):
        Scorer(tmp_path)
