"""What the Tuner node puts out: the files of TFX, and all trials in their order."""

import json

from tfx.types import standard_artifacts
from tfx.types.standard_component_specs import BEST_HYPERPARAMETERS_KEY, TUNER_RESULTS_KEY

from components import tuner
from din_trainer.config import DINConfig
from din_trainer.tuning.finished_trials import FinishedTrials
from din_trainer.tuning.search import Search
from din_trainer.tuning.trial import Outcome, Trial
from din_trainer.tuning.tuner_config import TunerConfig


def test_the_best_values_and_all_trials_are_put_out_and_nothing_is_left_to_continue(tmp_path, monkeypatch):
    aucs = iter([0.6, None, 0.7])

    def run(trials):
        for _ in trials:
            auc = next(aucs)
            yield Outcome(auc, 1, 2.5) if auc else Outcome(None, 0, 2.5, "It diverged.")

    def search(*arguments, **options):
        settings = TunerConfig(trials=3, space={"model.hidden": [[8], [16], [32]]})
        made = Search(settings, DINConfig(), Trial("", "t", [], []), FinishedTrials(tmp_path / "finished"), tmp_path / "keras", run)
        made.search()
        return made

    monkeypatch.setattr(tuner.executor, "search", search)
    monkeypatch.setattr(tuner.Executor, "_get_tmp_dir", lambda executor: str(tmp_path))
    outputs = {BEST_HYPERPARAMETERS_KEY: [standard_artifacts.HyperParameters()], TUNER_RESULTS_KEY: [standard_artifacts.TunerResults()]}
    for name, (artifact,) in outputs.items():
        (tmp_path / name).mkdir()
        artifact.uri = str(tmp_path / name)
    tuner.Executor().Do({}, outputs, {})
    trials = json.loads((tmp_path / TUNER_RESULTS_KEY / "trials.json").read_text())
    assert [(trial["auc"], trial["failed"]) for trial in trials] == [(0.6, ""), (None, "It diverged."), (0.7, "")]
    assert trials[0]["values"] == {"model.hidden": [128, 64, 32]}
    best = json.loads((tmp_path / BEST_HYPERPARAMETERS_KEY / "best_hyperparameters.txt").read_text())
    assert {key: json.loads(value) for key, value in best["values"].items()} == trials[2]["values"]
    of_tfx = json.loads((tmp_path / TUNER_RESULTS_KEY / "tuner_results.json").read_text())
    assert [(row["trial_id"], row["score"]) for row in of_tfx] == [("2", 0.7), ("0", 0.6)]
    assert not (tmp_path / "finished").exists()
