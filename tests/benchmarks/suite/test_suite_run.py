"""Runs of a suite with a fake training: each row is stored, and used again as long as nothing has changed."""

import json
import os
import re

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.peers import peer_environment
from benchmarks.quality.eval_judge import Trial
from benchmarks.suite import suite_data, suite_run, train_missing
from benchmarks.suite.suite_config import Planned
from components.base.errors import DataError, InputError
from pipeline.datasets.layout import DatasetWriter, scalar_column
from tests.benchmarks.suite.suite_file import SUITE

ROWS = 60


@pytest.fixture
def bench(tmp_path, monkeypatch, capfd):
    """A function that runs the suite and returns its results. `done` lists what it imported and trained.

    Trainings in `fails` are interrupted; those in `refuses` raise an InputError.
    """
    (tmp_path / "suite.toml").write_text(SUITE)
    (tmp_path / "there.csv").write_text("source")
    done = []
    monkeypatch.setattr(peer_environment, "prepare", lambda folder: done.append("peers") or folder / "python")

    def run_import(data, source, mapping, out, command):
        done.append(("import", data.name))
        if source.read_text() == "broken":
            raise InputError("line 1 is broken")
        if source.read_text() == "cut off":
            (out / "train").mkdir(parents=True)
            raise KeyboardInterrupt
        columns = {
            "user_id": scalar_column(np.arange(ROWS) // 4),
            "candidate_item_id": scalar_column(np.arange(ROWS)),
            "label": scalar_column(np.arange(ROWS) % 2),
        }
        with DatasetWriter(out) as writer:
            for split in ("train", "validation", "eval"):
                writer.write(split, pa.RecordBatch.from_pydict(columns))
            writer.manifest = {"source": source.name, "command": command}

    monkeypatch.setattr(suite_data, "run_import", run_import)
    own_trainer = train_missing.SuiteWork._trainer

    def run(*settings, fails=(), refuses=(), models=None, seeds=None, as_json=True, status=0):
        done.clear()

        def trainer(self, name, found, workspace):
            done.append(("prepare", name))

            def train(planned: Planned) -> Trial:
                if (planned.model, planned.seed) in fails:
                    raise KeyboardInterrupt
                if (planned.model, planned.seed) in refuses:
                    raise InputError("out of\nluck")
                done.append((planned.model, planned.seed))
                strength = {"lr": 0, "din": 2, "deepctr": 1}[planned.model]
                noise = np.random.default_rng(planned.seed).normal(size=ROWS)
                return Trial(noise + strength * (np.arange(ROWS) % 2), [0.5, 0.7, 0.6], 1.5)

            return train

        monkeypatch.setattr(train_missing.SuiteWork, "_trainer", trainer)
        ended = suite_run.main(
            str(tmp_path / "suite.toml"), tmp_path, tmp_path / "out", list(settings), seeds, models, as_json, command="din bench quality"
        )
        assert ended == status
        printed = capfd.readouterr().out
        return json.loads(printed) if as_json else printed

    run.done, run.out, run.source = done, tmp_path / "out", tmp_path / "there.csv"
    run.own_trainer = own_trainer
    return run


ALL = [("lr", 0), ("lr", 1), ("din", 0), ("din", 1), ("deepctr", 0), ("deepctr", 1)]


def test_a_second_call_trains_nothing(bench):
    first = bench()
    assert bench.done == [("import", "there"), "peers", ("prepare", "there"), *ALL]
    assert bench() == first
    assert bench.done == []
    assert json.loads((bench.out / "quality.json").read_text()) == first
    assert "# Quality: the suite suite" in (bench.out / "quality.md").read_text()


def test_what_was_cut_off_goes_on_at_the_row_that_was_lost(bench):
    with pytest.raises(KeyboardInterrupt):
        bench(fails=[("din", 1)])
    assert bench.done == [("import", "there"), "peers", ("prepare", "there"), *ALL[:3]]
    assert not (bench.out / "quality.json").exists()
    bench()
    assert bench.done == ["peers", ("prepare", "there"), *ALL[3:]]


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


@pytest.mark.parametrize(
    ("module", "done"),
    [
        ("din_trainer.training.loop", [("prepare", "there"), *ALL[:2]]),
        ("pipeline.datasets.importing.histories", [("import", "there")]),
        ("pipeline.report.page", []),
    ],
)
def test_edited_code_is_run_again_and_no_more(bench, edit_module, module, done):
    bench(models="lr")
    edit_module(module)
    bench(models="lr")
    assert bench.done == done


def test_rows_hold_figures_and_logits(bench):
    bench(models="din", seeds=1)
    (file,) = (bench.out / "rows").glob("*.json")
    figures = json.loads(file.read_text())
    assert file.name == f"there-din-0-{figures['key']}.json"
    assert (figures["best_epoch"], figures["validation_aucs"], figures["seconds"]) == (2, [0.5, 0.7, 0.6], 1.5)
    with np.load(file.with_suffix(".npz")) as arrays:
        assert arrays["logits"].tolist() == (np.random.default_rng(0).normal(size=ROWS) + 2 * (np.arange(ROWS) % 2)).tolist()
    assert figures["trained"]["versions"]["numpy"] == np.__version__ and figures["trained"]["machine"]["cpus"] == os.cpu_count()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", figures["trained"]["date"])
    assert {path.suffix for path in (bench.out / "rows").iterdir()} == {".json", ".npz"}


def test_what_is_not_there_is_named_and_the_rest_is_run(bench):
    results = bench(models="lr", seeds=1)
    (missing,) = results["not_run"]
    assert missing["what"] == "Absent"
    assert missing["why"].endswith("absent.csv does not exist: put it there, or name another folder with --sources.")


def test_nothing_there_is_an_error(bench):
    bench.source.unlink()
    with pytest.raises(
        InputError, match=r"No data set of the suite suite could be imported: .*there\.csv does not exist.* .*absent\.csv does not exist"
    ):
        bench()


def test_peers_that_cannot_be_installed_are_named_and_the_rest_is_run(bench, monkeypatch):
    def prepare(folder):
        raise InputError("no route\nto host")

    monkeypatch.setattr(peer_environment, "prepare", prepare)
    results = bench(seeds=1)
    assert [m["name"] for m in results["data"][0]["models"]] == ["lr", "din"]
    assert {"what": "DeepCTR's DIN, not regularised", "why": "no route to host"} in results["not_run"]
    with pytest.raises(InputError, match=r"^Nothing of the suite suite could be trained: .* no route to host$"):
        bench(models="deepctr")


def test_finished_rows_of_a_peer_are_shown_where_it_cannot_be_installed(bench, monkeypatch):
    first = bench()

    def prepare(folder):
        raise InputError("no route to host")

    monkeypatch.setattr(peer_environment, "prepare", prepare)
    assert bench() == first


def test_a_training_that_fails_is_named_and_the_rest_is_run(bench):
    results = bench(refuses=[("deepctr", 0)], status=1)
    assert bench.done[-1] == ("deepctr", 1)
    assert [m["name"] for m in results["data"][0]["models"]] == ["lr", "din"]  # a model with one of two seeds is not in the table
    assert results["not_run"][-1] == {"what": "there, deepctr, seed 0", "why": "out of luck"}
    assert json.loads((bench.out / "quality.json").read_text()) == results
    assert len(bench()["data"][0]["models"]) == 3
    assert bench.done == ["peers", ("prepare", "there"), ("deepctr", 0)]


def test_data_that_is_refused_is_named_and_finished_rows_are_shown(bench, monkeypatch):
    bench(models="lr", seeds=1)

    def refuse(*args):
        raise DataError("no clicks")

    monkeypatch.setattr(train_missing, "open_experiment", refuse)
    monkeypatch.setattr(train_missing.SuiteWork, "_trainer", bench.own_trainer)
    status = suite_run.main(
        str(bench.source.with_name("suite.toml")), bench.source.parent, bench.out, [], 1, "lr,din", as_json=False, command=""
    )
    assert status == 1
    results = json.loads((bench.out / "quality-partial.json").read_text())
    assert [m["name"] for m in results["data"][0]["models"]] == ["lr"]
    assert results["not_run"][-1] == {"what": "there: all missing trainings", "why": "no clicks"}


def test_an_import_that_is_refused_is_named_and_the_rest_is_run(bench):
    (bench.source.with_name("absent.csv")).write_text("broken")
    results = bench(models="lr", seeds=1, status=1)
    assert [data["name"] for data in results["data"]] == ["there"]
    assert results["not_run"] == [{"what": "Absent", "why": "line 1 is broken"}]


@pytest.mark.parametrize("content", ["broken", "cut off"])
def test_an_import_that_fails_leaves_the_old_one(bench, content):
    first = bench(models="lr", seeds=1)
    bench.source.write_text(content)
    with pytest.raises((InputError, KeyboardInterrupt)):
        bench(models="lr", seeds=1)
    bench.source.unlink()
    results = bench(models="lr", seeds=1)
    assert results["data"][0]["models"] == first["data"][0]["models"]
    bench.source.write_text("corrected")
    assert bench(models="lr", seeds=1)["data"] == first["data"]


def test_what_was_imported_before_needs_no_source(bench):
    bench(models="lr")
    bench.source.unlink()
    printed = bench(models="lr", as_json=False)
    assert bench.done == []
    assert "60 eval; imported before, the source does not exist any more" in printed
    assert (
        "* The source does not exist any more: these are the impressions of an earlier import."
        in (bench.out / "quality-partial.md").read_text()
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [("there.csv", "elsewhere.csv"), ('importer = "movielens"', 'importer = "taobao"'), ("config =", "options.seed = 1\nconfig =")],
)
def test_what_was_imported_otherwise_does_not_stand_for_it(bench, old, new):
    bench(models="lr")
    bench.source.unlink()
    suite = bench.source.with_name("suite.toml")
    suite.write_text(suite.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"^No data set of the suite suite could be imported: "):
        bench(models="lr")


def test_a_part_of_a_suite_leaves_the_whole_one_s_results(bench):
    whole = bench()
    printed = bench(models="lr", as_json=False)
    assert "quality-partial.json (a part of the suite: quality.md and .json stay as they are)" in printed
    bench(seeds=1)
    assert json.loads((bench.out / "quality.json").read_text()) == whole and not whole["partial"]
    part = json.loads((bench.out / "quality-partial.json").read_text())
    assert part["partial"] and part["seeds"] == [0]
    assert (bench.out / "quality-partial.md").read_text().startswith("# Quality: the suite suite, in part\n")


def test_a_second_process_is_refused(bench):
    bench.out.mkdir()
    with (
        suite_run.sole_user(bench.out),
        pytest.raises(InputError, match=r"^Another `din bench quality` uses .*out: wait until it ends, or name"),
    ):
        bench()
    bench()


@pytest.mark.parametrize("ending", [".json", ".npz"])
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff"])
def test_a_damaged_row_is_trained_again(bench, ending, content):
    first = bench(models="din", seeds=1)
    (file,) = (bench.out / "rows").glob(f"*{ending}")
    file.unlink() if content is None else file.write_bytes(content)
    assert bench(models="din", seeds=1) == first
    assert bench.done == [("prepare", "there"), ("din", 0)]


def test_a_row_of_other_impressions_is_trained_again(bench):
    bench(models="din", seeds=1)
    (file,) = (bench.out / "rows").glob("*.npz")
    np.savez(file, logits=np.zeros(ROWS - 1))
    bench(models="din", seeds=1)
    assert bench.done == [("prepare", "there"), ("din", 0)]


def test_metrics_are_those_of_the_logits_by_today_s_judge(bench):
    first = bench(models="din", seeds=1)
    (file,) = (bench.out / "rows").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "auc": 0.1, "gauc": 0.1, "log_loss": 9.0}))
    assert bench(models="din", seeds=1) == first


def test_a_best_epoch_that_is_the_last_one_allowed_is_marked(bench):
    printed = bench("training.epochs=2", models="din", as_json=False)  # [0.5, 0.7, 0.6]: the second is the best
    assert "DIN*" in printed and "* Still improving at the last epoch allowed" in printed
    printed = bench("training.epochs=3", models="din", as_json=False)
    assert "DIN*" not in printed and "Still improving" not in printed


def test_a_feature_that_the_peer_lacks_is_refused_before_anything_is_trained(bench):
    with pytest.raises(InputError, match=r"^DeepCTR's DIN is compared without schedules: remove them from"):
        bench("training.schedule.kind=cosine")
    assert bench.done == []


def test_people_see_progress_a_table_claims_and_what_was_not_run(bench):
    printed = bench(models="lr,din", as_json=False)
    assert "there, lr, seed 0" in printed and "3 left, about 0 s" in printed and "none left" in printed
    assert "There: eval split, seeds 0, 1" in printed
    assert "Not run: Absent: " in printed
