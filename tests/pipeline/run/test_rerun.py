"""What a rerun compares before it trains, and what it says when metrics differ. tests/e2e/test_housekeeping.py reruns whole pipelines."""

import json

import pytest

import pipeline.run.origin as origins
from components.base.errors import InputError
from components.base.fingerprint import file_fingerprint
from pipeline.cli.main import main
from pipeline.configuration.load_config import load_config
from pipeline.records.summary import Summary
from pipeline.run.checks.check_impressions import DataFacts
from pipeline.run.origin import ORIGIN_FILE, Origin, differences, make_origin
from pipeline.run.rerun import _differs, _read

RUN = "20261101-090000-default"
ORIGIN = Origin(data={"train": "a"}, files={}, code={"pipeline.dag": "b"}, libraries={"keras": "3.15.1"}, machine="one")


@pytest.fixture
def workspace(tmp_path):
    """A workspace with one run that has metrics."""
    Summary(run_id=RUN, name="default", status="refused", metrics={"auc": 0.7, "gauc": None}, data="/nowhere/data").write(tmp_path)
    folder = tmp_path / "runs" / RUN
    config = load_config(None, ["serving.servers=['grpc://a:8500']", "notify.command=['page']", "training.seed=3"])
    (folder / "config.json").write_text(config.model_dump_json())
    (folder / ORIGIN_FILE).write_text(ORIGIN.model_dump_json())
    return tmp_path


def test_a_run_of_an_earlier_release_is_repeated_without_interactions(workspace):
    """Its configuration does not name them, whatever the default is today."""
    file = workspace / "runs" / RUN / "config.json"
    config = json.loads(file.read_text())
    del config["model"]["interactions"]
    file.write_text(json.dumps(config))
    assert _read(workspace, RUN)[1].model.interactions == "none"


def test_the_same_is_the_same():
    assert differences(ORIGIN, ORIGIN) == []
    assert differences(ORIGIN, ORIGIN.model_copy(update={"machine": "another"})) == []  # it may give the same bits


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data": {"train": "x", "eval": "y"}}, "the data has other content in eval, train"),
        ({"files": {"item.npz": "c"}}, "item.npz, which the configuration names, has changed"),
        ({"libraries": {"keras": "3.16.0"}}, "the libraries have changed: keras 3.15.1 is 3.16.0 now"),
        ({"code": {"pipeline.dag": "x"}}, "the code has changed: pipeline.dag"),
        (
            {"code": dict.fromkeys(("a", "b", "c", "d", "pipeline.dag"), "x")},
            "the code has changed: a, b, c and 2 more modules",
        ),
    ],
)
def test_what_differs_is_named(change, sentence):
    assert differences(ORIGIN, ORIGIN.model_copy(update=change)) == [sentence]


def test_what_a_run_is_made_from(tmp_path, monkeypatch):
    """The hashes are those of the files; an edited module and another file of embeddings change them."""
    vectors = tmp_path / "item.npz"
    vectors.write_bytes(b"vectors")
    config = load_config(None, [f"features.behaviours.item.embeddings={vectors}"])
    origin = make_origin(config, DataFacts({}, {}, {}, {}, {"train": "a"}, {}))
    assert origin.data == {"train": "a"} and origin.files == {str(vectors): file_fingerprint(str(vectors))}
    assert origin.code["din_trainer.training.loop"] == file_fingerprint("din_trainer/training/loop.py")
    assert {"din_trainer.transform.preprocessing", "components.slice_columns", "components.evaluation.metrics.gauc"} <= origin.code.keys()
    assert not any(module.startswith(("pipeline.records", "pipeline.report", "pipeline.cli")) for module in origin.code)
    assert origin.libraries.keys() > {"python", "tensorflow", "numpy"} and "cores" in origin.machine
    monkeypatch.setattr(origins, "file_fingerprint", lambda file: "x" if file.endswith("loop.py") else file_fingerprint(file))
    assert differences(origin, make_origin(config, DataFacts({}, {}, {}, {}, {"train": "a"}, {}))) == [
        "the code has changed: din_trainer.training.loop"
    ]


def test_a_rerun_does_nothing_outside_its_own_workspace(workspace):
    """It asks no server, calls no program, and has no baseline; the rest of the configuration is that of the run."""
    _, config, origin = _read(workspace, RUN)
    assert config.serving.servers == () and config.notify.command == () and config.metadata.url == ""
    assert config.training.seed == 3 and config.evaluation.baseline == "served" and origin == ORIGIN


def test_a_warm_start_begins_where_it_began(workspace):
    """What is served now may be another version, or the very model of the run."""
    file = workspace / "runs" / RUN / "config.json"
    file.write_text(load_config(None, ["training.warm_start=served"]).model_dump_json())
    again = _read(workspace, RUN)[1]
    assert again.training.warm_start == "none"  # nothing was served then
    assert again.spans_read.window == 1  # as with a warm start
    summary = workspace / "runs" / RUN / "summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "warm_start": {"from": "20261031-090000-default", "kept": 7}}))
    assert _read(workspace, RUN)[1].training.warm_start == "20261031-090000-default"


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (ORIGIN_FILE, None, "has no origin.json, because an older release made it: it cannot be run again"),
        ("config.json", None, "has no config.json, because an older release made it"),
        ("config.json", '{"nonsense": 1}', "cannot be run again, because this release does not read its files"),
        (ORIGIN_FILE, "{", "cannot be run again, because this release does not read its files"),
        ("summary.json", json.dumps({"run_id": RUN, "name": "default", "status": "failed"}), "was not evaluated, so there is nothing"),
    ],
)
def test_a_run_that_cannot_be_run_again(workspace, capsys, file, content, sentence):
    place = workspace / "runs" / RUN / file
    place.unlink() if content is None else place.write_text(content)
    assert main(["rerun", RUN, "--workspace", str(workspace)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_run_that_is_not_there(workspace, capsys):
    assert main(["rerun", "nowhere", "--workspace", str(workspace)]) == 2
    assert "'nowhere' is not a run in" in capsys.readouterr().err
    with pytest.raises(InputError, match="nowhere is not a run in"):
        _read(workspace, "nowhere")


def test_the_path_of_another_folder_is_no_run(workspace, tmp_path_factory, capsys):
    """A rerun writes rerun.txt into the folder of the run, so a path must not lead it to the file of somebody else."""
    theirs = tmp_path_factory.mktemp("theirs") / "rerun.txt"
    theirs.write_text("theirs")
    for name in (str(theirs.parent), "..", ".", ""):
        assert main(["rerun", name, "--workspace", str(workspace)]) == 2
        assert f"{name!r} is not a run in" in capsys.readouterr().err
    assert theirs.read_text() == "theirs" and not list(workspace.rglob("rerun.txt"))


def test_data_that_is_gone_is_one_sentence(workspace, capsys):
    """It says where the data was: a rerun has no --data that could name another place."""
    assert main(["rerun", RUN, "--workspace", str(workspace)]) == 2
    assert f"The data of run {RUN} is not in /nowhere/data any more: put it there" in capsys.readouterr().err


def summaries(now):
    return Summary(run_id=RUN, name="x", metrics={"auc": 0.7, "gauc": None}), Summary(run_id="again", name="x", **now)


def test_metrics_are_compared_to_the_last_digit():
    config, deterministic = load_config(), load_config(None, ["training.deterministic=true"])
    same = summaries({"metrics": {"auc": 0.7, "gauc": None}})
    assert _differs(*same, config, ORIGIN, None) == []
    other = summaries({"metrics": {"auc": 0.7000000000000001, "gauc": None}})
    (sentence,) = _differs(*other, deterministic, ORIGIN, ORIGIN.model_dump())
    assert sentence == "auc: not the same, although data, configuration, code and libraries are"
    _, machine, weights = _differs(*other, config, ORIGIN, ORIGIN.model_copy(update={"machine": "two"}).model_dump())
    assert machine == "the run was made on another machine (one), which may add floats in another order"
    assert weights == "training.deterministic is false, so weights may differ from run to run: --set training.deterministic=true"


def test_metrics_of_further_labels_are_compared_too():
    labels = {"metrics": {"auc": 0.7}, "metrics_by_label": {"click": {"auc": 0.7}, "purchase": {"auc": 0.6}}}
    then = Summary(run_id=RUN, name="x", **labels)
    changed = {**labels, "metrics_by_label": {"click": {"auc": 0.7}, "purchase": {"auc": 0.65}}}
    deterministic = load_config(None, ["training.deterministic=true"])
    assert _differs(then, then, deterministic, ORIGIN, None) == []
    (sentence,) = _differs(then, Summary(run_id="again", name="x", **changed), deterministic, ORIGIN, None)
    assert sentence.startswith("auc (purchase): not the same")


def test_a_rerun_that_failed_says_why():
    failed = summaries({"status": "failed", "refused_because": "the data has other content in eval."})
    assert _differs(*failed, load_config(), ORIGIN, None) == ["the data has other content in eval."]
    interrupted = summaries({"status": "interrupted"})
    assert _differs(*interrupted, load_config(), ORIGIN, None) == ["the rerun was interrupted"]
