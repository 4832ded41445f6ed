"""`din predict --url` against the stand-in."""

import json

import pytest

from pipeline.cli.main import main
from pipeline.online.client import Client, InvalidRequest
from tests.components.serving import toy


@pytest.fixture
def jsonl(tmp_path):
    def write(rows):
        file = tmp_path / "rows.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(file)

    return write


def predicted(capfd, *arguments):
    assert main(["predict", *map(str, arguments)]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_din_predict_gives_the_same_from_a_folder_and_from_a_url(url, toy_folder, jsonl, capfd):
    file = jsonl([{**row, "label": 1} for row in toy.ROWS])
    local = predicted(capfd, "--model", toy_folder / "2", file)
    served = predicted(capfd, "--url", url, file)
    assert [list(row) for row in local] == [list(row) for row in served]
    for ours, theirs in zip(local, served, strict=True):
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-6)
        assert {**ours, "probability": 0} == {**theirs, "probability": 0}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_id": "x"}, ", line 2: feature 'user_id' is \"x\", but int64 is needed."),
        ({"candidate_item_id": None}, ", line 2: feature 'candidate_item_id' needs one value an impression."),
    ],
)
def test_din_predict_names_the_line(stand_in, jsonl, capfd, change, reason):
    file = jsonl([toy.ROWS[0], {**toy.ROWS[1], **change}, toy.ROWS[2]])
    assert main(["predict", "--url", stand_in.rest_url, file]) == 2
    out, err = capfd.readouterr()
    assert out == "" and reason in err and err.count("\n") == 1


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"historical_items": [4]}, "the model does not read 'historical_items', but 'historical_item_ids', which is not there: rename it"),
        ({"historical_item_ids": [4, -1]}, "feature 'historical_item_ids' holds -1, which means no event"),
        ({"historical_item_ids": 4}, "feature 'historical_item_ids' is 4, but a list is needed"),
        ({"user_id": True}, "feature 'user_id' is true, but int64 is needed"),
        ({"user_id": -1}, "feature 'user_id' needs one value an impression"),
        ({"user_id": 2**63}, "feature 'user_id' has a value beyond 64 bits"),
    ],
)
def test_din_predict_refuses_what_could_be_misread(stand_in, toy_folder, jsonl, capfd, change, reason, served):
    """Case 26: the line and the key are named, and nothing is scored, with a model and with a server."""
    row = {name: value for name, value in toy.ROWS[0].items() if not name.startswith("historical")}
    file = jsonl([toy.ROWS[0], {**row, **change}])
    assert main(["predict", *(("--url", stand_in.rest_url) if served else ("--model", str(toy_folder / "2"))), file]) == 2
    out, err = capfd.readouterr()
    assert out == "" and f", line 2: {reason}" in err and err.count("\n") == 1


def test_din_predict_notes_what_it_did_not_read_and_what_no_line_had(toy_folder, jsonl, capfd):
    cold = {name: value for name, value in toy.ROWS[0].items() if not name.startswith("historical")}
    assert main(["predict", "--model", str(toy_folder / "2"), jsonl([{**cold, "title": "x", "label": 1}])]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["title"] == "x"
    notes = [line.partition("rows.jsonl: ")[2] for line in err.splitlines()]
    absent = "no line has 'historical_category_ids', 'historical_item_ids', so each counts as missing (a history as empty)."
    assert notes == ["the model does not read 'title'.", absent]


def test_din_predict_names_the_lines_that_a_server_refuses(stand_in, jsonl, capfd, monkeypatch):
    def refuse(self, rows):
        raise InvalidRequest("http://127.0.0.1:1/v1/models/demo answered 400: no.")

    monkeypatch.setattr(Client, "predict_labels", refuse)
    assert main(["predict", "--url", stand_in.rest_url, jsonl(toy.ROWS)]) == 2
    out, err = capfd.readouterr()
    assert out == "" and ", lines 1 to 3: http://127.0.0.1:1/v1/models/demo answered 400" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://x", "ftp://x names no served model"),
        ("http://127.0.0.1:1/v1/models/demo", "http://127.0.0.1:1/v1/models/demo cannot be reached"),
    ],
)
def test_din_predict_says_what_is_wrong_with_a_url(url, reason, jsonl, capfd):
    assert main(["predict", "--url", url, jsonl(toy.ROWS)]) == 2
    err = capfd.readouterr().err
    assert reason in err and err.count("\n") == 1


def test_din_predict_wants_a_model_for_a_folder(tmp_path, capfd):
    assert main(["predict", "--url", "grpc://x/demo", str(tmp_path), "--out", "x"]) == 2
    assert "name the model with --model" in capfd.readouterr().err
