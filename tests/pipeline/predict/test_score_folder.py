"""Folders of TFRecords in, JSON lines with probabilities out, against scores that are calculated without TensorFlow."""

import contextlib
import json

import apache_beam as beam
import pytest
import tensorflow as tf

from components.base.errors import InputError
from pipeline.cli.main import main
from pipeline.configuration.beam_config import BeamConfig
from pipeline.predict import score_folder
from pipeline.predict.score_folder import predict_folder
from pipeline.runners import check_engine
from pipeline.runners.beam_options import local_options
from tests.components.serving import toy
from tests.sample_data import write_dataset

COLUMNS = {name: [row[name] for row in toy.ROWS] for name in toy.NAMES}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "1"
    toy.save(folder)
    return folder


def write(folder, **changes):
    columns = {name: values for name, values in (COLUMNS | changes).items() if values is not None}
    return write_dataset(folder / "data", dict.fromkeys(("train", "validation", "eval"), columns))


def test_every_impression_gets_its_score(model, tmp_path):
    data = write(tmp_path, price=[1.5, float("nan"), 2.5])
    assert predict_folder(model, data / "eval", tmp_path / "scores.jsonl", []) == 3
    rows = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    rows.sort(key=lambda row: row["user_id"])
    expected = sorted(toy.ROWS, key=lambda row: row["user_id"])
    assert [row["probability"] for row in rows] == pytest.approx([toy.probability(row) for row in expected], abs=1e-6)
    assert [row.get("price") for row in rows] == [None, 1.5, 2.5]  # JSON has no NaN


def test_the_engine_of_the_command_is_checked_first(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_engine, "_SECONDS", 0.1)
    data, out = write(tmp_path), tmp_path / "scores.jsonl"
    words = ["predict", "--model", str(model), "--engine", "spark", "--set", "beam.job_server=127.0.0.1:1", "--out", str(out)]
    assert main([*words, str(data / "eval")]) == 2
    assert capsys.readouterr().err == ("din: The Beam job server at 127.0.0.1:1 does not answer: start it, or correct beam.job_server.\n")
    (tmp_path / "rows.jsonl").touch()
    assert main([*words, str(tmp_path / "rows.jsonl")]) == 2
    assert "an engine scores folders of TFRecords, so leave out --engine, --config and --set" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_is_scored_by_the_pipeline_of_the_engine(model, tmp_path, monkeypatch):
    made = []

    @contextlib.contextmanager
    def running_engine(config, name, notes, tell):
        made.append(config.engine)
        yield lambda: beam.Pipeline(argv=local_options())

    monkeypatch.setattr(score_folder, "running_engine", running_engine)
    data = write(tmp_path)
    assert predict_folder(model, data / "eval", tmp_path / "scores.jsonl", [], BeamConfig(engine="flink")) == 3
    assert made == ["flink"] and len((tmp_path / "scores.jsonl").read_text().splitlines()) == 3


def test_a_job_that_goes_on_is_said_on_the_terminal(model, tmp_path, monkeypatch, capsys):
    @contextlib.contextmanager
    def running_engine(config, name, notes, tell):
        notes.append("The job din-predict-1 may still run on Flink.")
        raise InputError("The job server was lost.")
        yield

    monkeypatch.setattr(score_folder, "running_engine", running_engine)
    monkeypatch.setattr(check_engine, "check_engine", lambda _: [])
    data, out = write(tmp_path), tmp_path / "scores.jsonl"
    assert main(["predict", "--model", str(model), "--engine", "flink", "--out", str(out), str(data / "eval")]) == 2
    assert capsys.readouterr().err == "din: The job din-predict-1 may still run on Flink.\ndin: The job server was lost.\n"


def test_an_impression_that_lacks_something_is_a_sentence(model, tmp_path):
    data = write(tmp_path, candidate_item_id=[7, [], 0])
    with pytest.raises(
        InputError, match=r"/data/eval: the model cannot read an impression \(.*candidate_item_id.*\): add what is missing\.$"
    ) as error:
        predict_folder(model, data / "eval", tmp_path / "scores.jsonl", [])
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == [data]


def test_files_that_would_be_passed_over(model, tmp_path):
    file = write(tmp_path) / "eval" / "more.tfrecord"
    file.touch()
    with pytest.raises(InputError, match=rf"^{file} would not be scored, since it is not called \*\.tfrecord\.gz or is behind a link"):
        predict_folder(model, file.parent, tmp_path / "scores.jsonl", [])


def test_a_split_behind_a_link(model, tmp_path):
    """It is named as it is: the files of a folder are not looked for behind links, which may lead in a circle."""
    data = write(tmp_path)
    (data / "eval").rename(tmp_path / "eval")
    (data / "eval").symlink_to(tmp_path / "eval")
    with pytest.raises(InputError, match=r"/data/eval/part-00000\.tfrecord\.gz would not be scored"):
        predict_folder(model, data, tmp_path / "scores.jsonl", [])
    assert predict_folder(model, data / "eval", tmp_path / "scores.jsonl", []) == 3


def test_a_folder_that_changes_meanwhile_is_not_scored_in_part(model, tmp_path, monkeypatch):
    data = write(tmp_path)
    monkeypatch.setattr(score_folder, "_check_folder", lambda *_: ([data / "eval" / "part-00000.tfrecord.gz"], 4))
    with pytest.raises(InputError, match=r"/data/eval held 4 impressions, but 3 were scored: leave it as it is meanwhile"):
        predict_folder(model, data / "eval", tmp_path / "scores.jsonl", [])
    assert not (tmp_path / "scores.jsonl").exists()


def test_lists_are_left_out_even_where_they_have_one_value():
    """A list that is now a number and now absent would not say what the impression has."""
    example = tf.train.Example()
    for name, values in {"user_id": [7], "interests": [1], "historical_item_ids": [3]}.items():
        example.features.feature[name].int64_list.value.extend(values)
    assert score_folder._to_row(example, {"interests", "historical_item_ids"}) == {"user_id": 7}
