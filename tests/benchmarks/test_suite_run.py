"""A suite's run with a training that nobody has to wait for: rows are kept one by one, and used again while nothing has changed."""

import json

import numpy as np
import pyarrow as pa
import pytest

import benchmarks.suite_data
from benchmarks import peer_environment, suite_run
from benchmarks.judging import Trial
from benchmarks.suite import Planned, load_suite, plan
from benchmarks.suite_data import import_once, locate
from benchmarks.suite_rows import RowStore, TimeLeft
from pipeline.config import load_config
from pipeline.datasets.layout import DatasetWriter, scalar_column
from pipeline.errors import InputError

SUITE = """
seeds = [0, 1]
models = ["lr", "din", "deepctr"]
[[data]]
name = "there"
title = "There"
importer = "movielens"
source = "there.csv"
config = "movielens"
[[data]]
name = "absent"
title = "Absent"
importer = "taobao"
source = "absent.csv"
config = "movielens"
"""
ROWS = 60


@pytest.fixture
def bench(tmp_path, monkeypatch, capfd):
    """Runs the suite; returns its results and what was trained and imported for them. Training fails on what `fails` names."""
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "there.csv").write_text("source")
    monkeypatch.setattr(peer_environment, "prepare", lambda folder: folder / "python")
    done = []

    def run_import(data, source, mapping, out, command):
        done.append(("import", data.name))
        columns = {
            "user_id": scalar_column(np.arange(ROWS) // 4),
            "candidate_item_id": scalar_column(np.arange(ROWS)),
            "label": scalar_column(np.arange(ROWS) % 2),
        }
        with DatasetWriter(out) as writer:
            for split in ("train", "validation", "eval"):
                writer.write(split, pa.RecordBatch.from_pydict(columns))
            writer.manifest = {"source": source.name, "command": command}

    monkeypatch.setattr(benchmarks.suite_data, "run_import", run_import)

    def run(*settings, fails=(), models=None, seeds=None, as_json=True):
        done.clear()

        def trainer(self, name, found, workspace):
            done.append(("prepare", name))

            def train(planned: Planned) -> Trial:
                if (planned.model, planned.seed) in fails:
                    raise KeyboardInterrupt
                done.append((planned.model, planned.seed))
                strength = {"lr": 0, "din": 2, "deepctr": 1}[planned.model]
                noise = np.random.default_rng(planned.seed).normal(size=ROWS)
                return Trial(noise + strength * (np.arange(ROWS) % 2), [0.5, 0.7, 0.6], 1.5)

            return train

        monkeypatch.setattr(suite_run.SuiteRun, "_trainer", trainer)
        status = suite_run.main(
            str(tmp_path / "suite.toml"), tmp_path, tmp_path / "out", list(settings), seeds, models, as_json, command="din bench quality"
        )
        assert status == 0
        printed = capfd.readouterr().out
        return json.loads(printed) if as_json else printed

    run.done, run.out, run.source = done, tmp_path / "out", tmp_path / "there.csv"
    return run


ALL = [("lr", 0), ("lr", 1), ("din", 0), ("din", 1), ("deepctr", 0), ("deepctr", 1)]


def test_a_second_call_trains_nothing(bench):
    first = bench()
    assert bench.done == [("import", "there"), ("prepare", "there"), *ALL]
    assert bench() == first
    assert bench.done == []
    assert json.loads((bench.out / "quality.json").read_text()) == first
    assert "# Quality: the suite suite" in (bench.out / "quality.md").read_text()


def test_what_was_cut_off_goes_on_at_the_row_that_was_lost(bench):
    with pytest.raises(KeyboardInterrupt):
        bench(fails=[("din", 1)])
    assert bench.done == [("import", "there"), ("prepare", "there"), *ALL[:3]]
    assert not (bench.out / "quality.json").exists()
    bench()
    assert bench.done == [("prepare", "there"), *ALL[3:]]


def test_a_changed_configuration_trains_anew_and_the_old_one_s_rows_stay(bench):
    first = bench(models="lr")
    bench("training.epochs=2", models="lr")
    assert bench.done == [("prepare", "there"), *ALL[:2]]
    assert bench(models="lr") == first
    assert bench.done == []


def test_more_models_and_seeds_add_to_what_is_there(bench):
    bench(models="lr", seeds=1)
    results = bench(models="lr,din", seeds=2)
    assert bench.done == [("prepare", "there"), *ALL[1:4]]
    assert results["seeds"] == [0, 1] and [m["name"] for m in results["data"][0]["models"]] == ["lr", "din"]


def test_a_changed_source_is_imported_again_but_the_same_impressions_are_not_trained_on_again(bench):
    bench()
    bench.source.write_text("another source")
    bench()
    assert bench.done == [("import", "there")]


def test_rows_hold_figures_and_logits(bench):
    bench(models="din", seeds=1)
    (file,) = (bench.out / "rows").glob("*.json")
    figures = json.loads(file.read_text())
    assert file.name == f"there-din-0-{figures['key']}.json"
    assert (figures["best_epoch"], figures["validation_aucs"], figures["seconds"]) == (2, [0.5, 0.7, 0.6], 1.5)
    with np.load(file.with_suffix(".npz")) as arrays:
        assert arrays["logits"].tolist() == (np.random.default_rng(0).normal(size=ROWS) + 2 * (np.arange(ROWS) % 2)).tolist()
    assert {path.suffix for path in (bench.out / "rows").iterdir()} == {".json", ".npz"}


def test_what_is_not_there_is_named_and_the_rest_is_run(bench):
    results = bench(models="lr", seeds=1)
    (missing,) = results["not_run"]
    assert missing["what"] == "Absent"
    assert missing["why"].endswith("absent.csv is not there: put it there, or name another folder with --sources.")


def test_nothing_there_is_an_error(bench):
    bench.source.unlink()
    with pytest.raises(
        InputError, match=r"No data set of the suite suite is there: .*there\.csv is not there.* .*absent\.csv is not there"
    ):
        bench()


def test_peers_that_cannot_be_installed_are_named_and_the_rest_is_run(bench, monkeypatch):
    def prepare(folder):
        raise InputError("no route\nto host")

    monkeypatch.setattr(peer_environment, "prepare", prepare)
    results = bench(seeds=1)
    assert [m["name"] for m in results["data"][0]["models"]] == ["lr", "din"]
    assert results["not_run"][0] == {"what": "DeepCTR's DIN", "why": "no route to host"}
    with pytest.raises(InputError, match=r"^Nothing is left to train: no route to host$"):
        bench(models="deepctr")


def test_a_feature_that_the_peer_lacks_is_refused_before_anything_is_trained(bench):
    with pytest.raises(InputError, match=r"^DeepCTR's DIN is compared without schedules: take them out"):
        bench("training.schedule.kind=cosine")
    assert bench.done == []


def test_people_see_progress_a_table_claims_and_what_was_not_run(bench):
    printed = bench(models="lr,din", as_json=False)
    assert "there, lr, seed 0" in printed and "3 left, about 0 s" in printed and "none left" in printed
    assert "There: eval split, seeds 0, 1" in printed
    assert "Not run: Absent: " in printed


def planned(data, model):
    return Planned(data, model, 0, load_config("movielens"))


def test_the_time_left_is_that_of_the_rows_most_alike():
    a, b, c = planned("x", "lr"), planned("x", "din"), planned("y", "din")
    left = TimeLeft([a, b, c], [])
    assert str(left) == "3 left"
    left.finish(a, 100.0)
    assert str(left) == "2 left, about 3 min"  # 100 s each
    left = TimeLeft([b, c], [("x", "din", 60.0), ("x", "lr", 10.0), ("y", "lr", 20.0)])
    assert str(left) == "2 left, about 80 s"
    left.finish(b, 1.0)
    left.finish(c, 1.0)
    assert str(left) == "none left"


def test_a_key_follows_all_that_a_row_depends_on(tmp_path, monkeypatch):
    (tmp_path / "suite.toml").write_text(SUITE)
    rows = {p.model: p for p in plan(load_suite(str(tmp_path / "suite.toml")), ["din", "deepctr"], [0], [])["there"]}
    store = RowStore(tmp_path)
    keys = {store.key(rows["din"], "a"), store.key(rows["din"], "b"), store.key(rows["deepctr"], "a")}
    assert len(keys) == 3
    named = rows["din"]._replace(config=rows["din"].config.model_copy(update={"name": "other"}))
    assert store.key(named, "a") == store.key(rows["din"], "a")  # trained alike
    monkeypatch.setattr(peer_environment, "REQUIREMENTS", ("deepctr==1",))
    assert RowStore(tmp_path).key(rows["deepctr"], "a") != store.key(rows["deepctr"], "a")
    assert RowStore(tmp_path).key(rows["din"], "a") == store.key(rows["din"], "a")


def suite_data(tmp_path, more):
    (tmp_path / "suite.toml").write_text(SUITE.split('[[data]]\nname = "absent"')[0] + more)
    return load_suite(str(tmp_path / "suite.toml")).data[0]


def test_a_package_s_files_stay_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []

    def unpack(requirement, folder):
        calls.append(requirement)
        folder.mkdir()
        (folder / "there.csv").write_text("")

    monkeypatch.setattr(benchmarks.suite_data, "package_files", lambda requirement: peer_environment.package_files(requirement, unpack))
    data = suite_data(tmp_path, 'package = "some==1.2"')
    for _ in range(2):
        assert locate(data, None) == tmp_path / "cache" / "din-tfx" / "packages" / "some-1.2" / "there.csv"
    assert calls == ["some==1.2"]
    with pytest.raises(InputError, match=r"^some==1\.2 holds no other\.csv: correct the suite\.$"):
        locate(data.model_copy(update={"source": "other.csv"}), None)


def test_a_package_that_cannot_be_fetched_says_why(tmp_path, monkeypatch):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no route to host >&2\nexit 1\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"(?s)^some==1\.2 cannot be fetched, which takes .*uv pip install .* failed:\nno route to host$"):
        locate(suite_data(tmp_path, 'package = "some==1.2"'), None)


def test_a_source_without_a_folder_of_sources_says_so(tmp_path):
    with pytest.raises(InputError, match=r"^there\.csv is looked for in the folder of sources: name it with --sources\.$"):
        locate(suite_data(tmp_path, ""), None)


def test_bad_settings_of_an_import_are_refused(tmp_path):
    (tmp_path / "there.csv").write_text("")
    data = suite_data(tmp_path, 'options = { spilt = "last" }')
    with pytest.raises(InputError, match=r"data set there, options: there is no key 'spilt': did you mean 'split'\?"):
        import_once(data, tmp_path / "there.csv", tmp_path / "data", "")
