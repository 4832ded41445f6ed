"""The last run for node_exporter. prometheus_client's own parser reads it back."""

import stat

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.base.errors import InputError
from pipeline.records.metrics_file import METRICS_FILE, write_metrics_file
from pipeline.records.summary import Summary


def summary(**fields) -> Summary:
    made = Summary(run_id="20261127-101500-demo", name="demo", **fields)
    made.end("refused", "AUC is too low")
    return made


def read(folder) -> dict:
    """The value of each line, by metric and label. All lines have the label of the run's name."""
    families = text_string_to_metric_families((folder / METRICS_FILE).read_text())
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels.pop("name") for sample in samples} == {"demo"}
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_the_figures_of_the_last_run(tmp_path):
    steps = {"Trainer": 12.5, "check data": 0.25}
    write_metrics_file(
        summary(
            metrics={"auc": 0.75, "gauc": None},
            baseline={"metrics": {"auc": 0.7}},
            served_on_new_data={"version": 7, "auc": 0.65},
            examples={"train": 10, "eval": 4},
            seconds={"total": 20.0, "components": steps},
        ),
        tmp_path,
    )
    found = read(tmp_path)
    assert found["din_run_metric", "auc"] == 0.75
    assert ("din_run_metric", "gauc") not in found
    assert found["din_run_baseline_metric", "auc"] == 0.7
    assert {key[1]: value for key, value in found.items() if key[0] == "din_run_served_metric"} == {"auc": 0.65}
    assert found["din_run_step_seconds", "check data"] == 0.25
    assert found["din_run_impressions", "eval"] == 4
    assert found["din_run_seconds",] == 20
    assert found["din_run_exit_code",] == 3
    statuses = {key[1]: value for key, value in found.items() if key[0] == "din_run_status"}
    assert statuses == {"pushed": 0, "unchanged": 0, "refused": 1, "data_refused": 0, "failed": 0, "interrupted": 0}
    assert found["din_run_end_time_seconds",] > 1.7e9


def test_a_run_that_reached_nothing_has_its_ending_only_and_replaces_the_file(tmp_path):
    write_metrics_file(summary(metrics={"auc": 0.75}), tmp_path)
    write_metrics_file(summary(), tmp_path)
    assert {key[0] for key in read(tmp_path)} == {"din_run_status", "din_run_exit_code", "din_run_end_time_seconds"}
    assert [path.name for path in tmp_path.iterdir()] == [METRICS_FILE]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / METRICS_FILE).mkdir()
    with pytest.raises(InputError, match=r"metrics\.prom cannot be written \(Is a directory\)"):
        write_metrics_file(summary(), tmp_path)
    assert stat.S_ISDIR((tmp_path / METRICS_FILE).stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 1


def test_further_labels_have_a_dimension_and_the_first_keeps_its_lines(tmp_path):
    """An empty label is no label to Prometheus: the first label's series go on when a second one is added."""
    by_label = {"click": {"auc": 0.75, "gauc": None}, "purchase": {"auc": 0.6}}
    oracle = {"click": {"auc": 0.8}, "purchase": {"auc": 0.7}}
    baseline = {"metrics": {"auc": 0.7}, "metrics_by_label": {"click": {"auc": 0.7}}}
    figures = {"metrics": by_label["click"], "metrics_by_label": by_label, "oracle": oracle["click"], "oracle_by_label": oracle}
    write_metrics_file(summary(**figures, baseline=baseline), tmp_path)
    lines = (tmp_path / METRICS_FILE).read_text().splitlines()
    assert [line for line in lines if line.startswith("din_run_metric{")] == [
        'din_run_metric{label="",metric="auc",name="demo"} 0.75',
        'din_run_metric{label="purchase",metric="auc",name="demo"} 0.6',
    ]
    assert 'din_run_oracle_metric{label="purchase",metric="auc",name="demo"} 0.7' in lines
    assert 'din_run_baseline_metric{metric="auc",name="demo"} 0.7' in lines
    write_metrics_file(summary(metrics={"auc": 0.75}), tmp_path)
    assert 'din_run_metric{metric="auc",name="demo"} 0.75' in (tmp_path / METRICS_FILE).read_text().splitlines()
