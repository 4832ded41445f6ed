"""What the summary and the terminal say of a search."""

from pipeline.records.tuner_summary import tuner_lines, tuner_summary

TRIALS = [
    {"values": {"training.learning_rate": 0.001, "model.hidden": [32]}, "auc": 0.71, "epoch": 2, "seconds": 3.0, "failed": ""},
    {"values": {"training.learning_rate": 0.5, "model.hidden": [32]}, "auc": None, "epoch": 0, "seconds": 1.0, "failed": "It diverged."},
    {"values": {"training.learning_rate": 0.0031234, "model.hidden": [64]}, "auc": 0.7225, "epoch": 1, "seconds": 3.0, "failed": ""},
]


def test_the_best_trial_is_compared_with_the_own_setting():
    summary = tuner_summary(TRIALS)
    assert summary == {
        "trials": 3,
        "failed": 1,
        "best": 3,
        "values": {"training.learning_rate": 0.0031234, "model.hidden": [64]},
        "validation_auc": 0.7225,
        "own_validation_auc": 0.71,
    }
    assert tuner_lines(summary) == [
        "tuned by 3 trials, 1 of them failed: validation AUC 0.7225 in trial 3, 0.7100 with the configuration's own values",
        "trained with training.learning_rate 0.003123, model.hidden [64]",
    ]
    assert tuner_lines(None) == []


def test_an_own_setting_that_failed_has_no_auc():
    summary = tuner_summary([TRIALS[1], TRIALS[0]])
    assert (summary["best"], summary["own_validation_auc"]) == (2, None)
    assert tuner_lines(summary)[0].endswith("validation AUC 0.7100 in trial 2, failed with the configuration's own values")


def test_of_equal_trials_the_first_is_the_best():
    assert tuner_summary([TRIALS[0], {**TRIALS[2], "auc": 0.71}])["best"] == 1
