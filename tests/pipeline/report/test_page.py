"""The report of a run, without a browser."""

import json
from urllib.parse import unquote

import pytest

from components.base.errors import InputError
from pipeline.records.tuner_summary import tuner_summary
from pipeline.report.page import write_report
from tests.pipeline.report.html_pages import HTMLPage
from tests.pipeline.report.workspaces import HOSTILE, SCRIPT, bare_workspace, details, full_workspace, summary, two_label_workspace

SECTIONS = ["metrics", "slices", "curves", "activity", "importance", "attention", "training", "data", "card", "history"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("workspace")
    return HTMLPage(write_report(full_workspace(workspace), workspace, workspace / "deep" / "report.html"))


def test_verdict_metrics_and_thresholds_are_shown(page):
    assert f"Refused gauc on city={SCRIPT} is 0.5512, below at least 0.6 log_loss is 0.45" in page.text  # two points
    assert "0.7843 to 0.7957" in page.text and "95% confidence intervals, from 400 samples" in page.text
    assert "at most 0.005 below the baseline: ok" in page.text and "at least 0.6 with confidence: failed" in page.text
    assert "0.5512 0.5000 to 0.6100" in page.text
    assert "user_activity=0 40 impressions GAUC 0.5000 at least 0.6: too few impressions to judge" in page.text
    assert "Baseline 1795500020" in page.text and "0.8017" in page.text and "96.1% of the oracle's" in page.text


@pytest.fixture(scope="module")
def two_labels(tmp_path_factory):
    workspace = tmp_path_factory.mktemp("labels")
    return HTMLPage(write_report(two_label_workspace(workspace), workspace, workspace / "report.html"))


def test_each_label_has_its_table_with_intervals_baseline_oracle_and_thresholds(two_labels):
    click, purchase = two_labels.text.partition("click Metric")[2].split("purchase Metric")
    assert "AUC chance that a clicked impression" in click and "0.7900 0.7843 to 0.7957" in click
    assert "at least 0.6: ok" in click and "at least 0.7" not in click and "0.8017" in click
    purchase = purchase.partition("Thresholds on slices")[0]
    assert "This model Oracle Thresholds AUC 0.6500 0.6443 to 0.6557 0.7000 at least 0.7: failed" in purchase  # no baseline
    assert "96.1% of the oracle's (click)" in purchase and "75.0% of the oracle's (purchase)" in purchase
    assert "user_activity=0 300 impressions AUC (purchase) 0.6000 at least 0.7: failed" in two_labels.text


def test_slices_curves_and_the_card_name_their_label(two_labels):
    names = {(metric["label"], metric["metric"]): metric["name"] for metric in two_labels.data["slices"]["metrics"]}
    assert names["click", "auc"] == "AUC (click)" and names["purchase", "gauc"] == "GAUC (purchase)"
    whole = two_labels.data["slices"]["rows"][0]
    assert (whole["values"]["click"]["auc"][0], whole["values"]["purchase"]["auc"][0]) == pytest.approx((0.79, 0.65))
    assert whole["values"]["click"]["auc"][3] is not None and whole["values"]["purchase"]["auc"][3] is None  # the baseline
    assert whole["clicks"] == {"click": 5000, "purchase": 5000}
    figures = two_labels.data["figures"]
    kinds = ("calibration", "roc", "precision-recall", "scores", "activity")
    assert {f"{kind}-{label}" for kind in kinds for label in ("click", "purchase")} <= set(figures)
    assert figures["calibration-purchase"]["layout"]["xaxis"]["title"]["text"] == "predicted purchase rate"
    assert [trace["name"] for trace in figures["scores-purchase"]["data"]] == ["no purchase", "purchase"]
    card = two_labels.text[two_labels.text.rindex("Model card") :]
    assert "the probabilities of click, purchase" in card and "AUC (purchase) 0.6500" in card
    assert "AUC at least 0.6: holds" in card and "AUC (purchase) at least 0.7: fails" in card


def test_one_label_is_not_named(page):
    assert {metric["label"] for metric in page.data["slices"]["metrics"]} == {""} and page.data["slices"]["metrics"][0]["name"] == "AUC"


def test_sections_are_labelled_and_reachable(page):
    sections = [attributes for tag, attributes in page.tags if tag == "section"]
    assert [section["id"] for section in sections] == SECTIONS
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == ["#content", *(f"#{name}" for name in SECTIONS)]
    assert {section["aria-labelledby"] for section in sections} <= set(ids)


def test_every_figure_is_drawn_from_the_data_and_described(page):
    drawn = [attributes for tag, attributes in page.tags if tag == "div" and attributes.get("role") == "img"]
    assert [chart["data-figure"] for chart in drawn] == list(dict.fromkeys(chart["data-figure"] for chart in drawn))
    assert {chart["data-figure"] for chart in drawn} == set(page.data["figures"])
    assert all(chart["aria-label"] for chart in drawn)
    assert {"calibration", "roc", "precision-recall", "scores", "activity", "training-Loss", "history-auc"} <= set(page.data["figures"])


def test_the_model_card_says_what_the_model_is_and_is_not(page):
    """Case 20: every part of a model card has its words."""
    card = page.text[page.text.index("Model card", page.text.index("Drift")) :]
    for words in (
        "Name demo, run 20261121-090000-demo, not pushed",
        "din, layers 64 · 32, dice: the probability that a user clicks a candidate",
        "candidate: candidate_item_id, candidate_category_id",
        "history: historical_item_ids, historical_category_ids",
        "160,000 impressions of /data/days/2026-11-21, train/",
        "4 epochs of at most 5",
        "Parameters 184,321",
        "AUC 0.7900",
        "AUC at least 0.6: holds",
        "0 of 1 thresholds on slices hold",
        "Of each history the last 10 events are read.",
        "because of too few impressions: 1.",
        "The clicks are simulated",
    ):
        assert words in card, words


def test_a_section_that_failed_says_so(tmp_path):
    folder = full_workspace(tmp_path)
    broken = {**details(), "card": None, "failed": {"card": "KeyError: 'trainable_variables'"}}
    (folder / "details.json").write_text(json.dumps(broken))
    text = HTMLPage(write_report(folder, tmp_path, tmp_path / "report.html")).text
    assert "Model card This section is not complete (KeyError: 'trainable_variables')." in text
    assert text.count("is not complete") == 1


def test_notes_of_the_run_and_missing_features_are_shown(tmp_path):
    folder = full_workspace(tmp_path)
    content = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**content, "notes": ["skew_comparator of 'a' is not checked."]}))
    text = HTMLPage(write_report(folder, tmp_path, tmp_path / "report.html")).text
    assert "skew_comparator of 'a' is not checked." in text and "Feature 'hour' has no value in eval/." in text


def test_nothing_from_the_data_becomes_markup(page):
    assert [tag for tag, _ in page.tags].count("script") == 3 and "img" not in {tag for tag, _ in page.tags}
    assert all(value in page.text for value in HOSTILE[:3])
    assert {f"city = {value}" for value in HOSTILE} <= {row["slice"] for row in page.data["slices"]["rows"]}


def test_control_characters_are_shown_escaped(tmp_path):
    """An override of the writing direction would reorder the text behind it; half of a surrogate pair cannot be written (case 22)."""
    folder = full_workspace(tmp_path)
    hostile, escaped = "a\x1b[31m\r\nb\u202ec\udcf6", r"a\x1b[31m\r\nb\u202ec\udcf6"
    content = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**content, "refused_because": f"reason {hostile}", "data": f"/d/{hostile}"}))
    slices = json.loads((folder / "evaluation.json").read_text())
    slices["slices"][-1]["key"] = [["city", hostile]]
    (folder / "evaluation.json").write_text(json.dumps(slices))
    written = write_report(folder, tmp_path, tmp_path / "report.html")
    page = HTMLPage(written)
    assert f"reason {escaped}" in page.text and f"city = {escaped}" in {row["slice"] for row in page.data["slices"]["rows"]}
    assert not {"\x1b", "\u202e"} & set(page.text)


def test_no_network_is_needed(page):
    policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "http" not in policy
    assert not [attributes for _, attributes in page.tags if "src" in attributes]
    assert all(attributes["href"].startswith(("#", "data:")) for _, attributes in page.tags if "href" in attributes)


def test_the_reports_of_a_workspace_share_one_script(tmp_path):
    """The script has 5 MB: twenty reports must not have it twenty times. A workspace may be moved."""
    workspace = tmp_path / "a #1"
    folder = full_workspace(workspace)
    reports = [write_report(run, workspace) for run in sorted(folder.parent.iterdir())[-2:]]
    (script,) = (workspace / "assets").iterdir()
    assert script.stat().st_size > 4e6 and all(report.stat().st_size < 5e5 for report in reports)
    workspace.rename(tmp_path / "moved")
    for report in (tmp_path / "moved" / report.relative_to(workspace) for report in reports):
        page = HTMLPage(report)
        (source,) = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
        assert (report.parent / unquote(str(source))).resolve() == tmp_path / "moved" / "assets" / script.name
        policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none'") and "script-src 'unsafe-inline' 'self' file:;" in policy and "http" not in policy


def test_attention_shows_events_newest_first_beside_the_candidate(page):
    marked = [tag for tag, _ in page.tags].count("mark")
    assert marked == 3 + 8 * 2  # the candidate's item or category among the events
    assert "Clicked, predicted 0.8100" in page.text and "The history clicks is empty." in page.text
    assert page.text.index("0.9 32 38") < page.text.index("0.12 71 4")


def test_an_impression_says_what_its_features_add_the_strongest_first(page):
    assert "candidate_item_id −1.5000, user_id +0.2500" in page.text


def test_the_importance_of_features_is_shown_overall_and_by_slice(page):
    assert "exchanged between 20,000 impressions of eval/" in page.text and "are 95 % confidence intervals over users" in page.text
    assert "user_activity=0 700 0.6000 clicks 0.0800" in page.text
    (bars,) = page.data["figures"]["importance"]["data"]
    assert (bars["x"][0], bars["y"][0], bars["error_x"]["array"][0]) == (0.12, "candidate_item_id", pytest.approx(0.01))


def test_the_current_run_is_pointed_out_in_the_history(page):
    rows = [attributes for tag, attributes in page.tags if tag == "tr" and "aria-current" in attributes]
    assert len(rows) == 1 and "1795500003" in page.text


def test_a_run_without_evaluation_says_so_in_each_section(tmp_path):
    page = HTMLPage(write_report(bare_workspace(tmp_path), tmp_path, tmp_path / "report.html"))
    assert "Failed ValueError: no message" in page.text
    for sentence in (
        "This run was not evaluated.",
        "No evaluation by slices was recorded",
        "No curves were recorded",
        "has no GAUC by user_activity",
        "The importance of features was not measured in this run",
        "No attention weights were recorded",
        "No training curves were recorded",
        "No statistics of the data were recorded",
        "configuration of this run was not recorded",
        "No other run of demo was evaluated yet",
    ):
        assert sentence in page.text
    assert page.data == {"figures": {}, "slices": None}


def test_a_run_with_a_summary_alone_shows_its_metrics(tmp_path):
    run = summary(3, "pushed", 0.78, baseline={"version": 7, "metrics": {"auc": 0.77}})
    run.write(tmp_path)
    page = HTMLPage(write_report(tmp_path / "runs" / run.run_id, tmp_path, tmp_path / "report.html"))
    assert "Version 1795500003 is ready for TF Serving." in page.text
    assert "0.7800 0.7700 +0.0100" in page.text and "better" not in page.text.partition("Metric ")[2].partition("chance")[0]


def test_details_that_were_not_gathered_are_null(tmp_path):
    folder = full_workspace(tmp_path)
    (folder / "details.json").write_text(json.dumps(dict.fromkeys(details())))
    page = HTMLPage(write_report(folder, tmp_path, tmp_path / "report.html"))
    assert "No attention weights were recorded" in page.text and "No statistics of the data were recorded" in page.text


def test_it_stays_small_whatever_is_sliced(tmp_path):
    folder = full_workspace(tmp_path)
    evaluation = json.loads((folder / "evaluation.json").read_text())
    one = evaluation["slices"][1]
    evaluation["slices"] += [{**one, "key": [["item", f"{at} {'x' * 500}"]], "slice": f"item={at}"} for at in range(3000)]
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    out = write_report(folder, tmp_path, tmp_path / "report.html")
    assert out.stat().st_size < 6e6
    page = HTMLPage(out)
    assert "The 300 largest of 3,025 slices are shown." in page.text and page.data["slices"]["rows"][0]["slice"] == "overall"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    folder = full_workspace(tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        write_report(folder, tmp_path, tmp_path)


def test_a_warm_start_shows_what_was_kept(tmp_path):
    folder = full_workspace(tmp_path)
    content = json.loads((folder / "summary.json").read_text())
    kept = {
        "from": "20261101-101500-demo",
        "vocabularies": {"item": {"kept": 4801, "new": 12, "dropped": 5}},
        "not_kept": [{"what": "mlp/dense_0/kernel", "why": "its shape was (5, 3) and is (5, 4)"}],
    }
    (folder / "summary.json").write_text(json.dumps({**content, "warm_start": kept}))
    text = HTMLPage(write_report(folder, tmp_path, tmp_path / "report.html")).text
    assert "Warm start The training started from the model of run 20261101-101500-demo." in text
    assert "item 4,801 12 5" in text
    assert "mlp/dense_0/kernel: its shape was (5, 3) and is (5, 4)" in text


def test_a_search_shows_its_trials_and_the_values_that_were_trained(tmp_path):
    folder = full_workspace(tmp_path)
    content = json.loads((folder / "summary.json").read_text())
    trials = [
        {"values": {"model.hidden": [64, 32]}, "auc": 0.71, "epoch": 2, "seconds": 3.0, "failed": ""},
        {"values": {"model.hidden": [16]}, "auc": 0.7225, "epoch": 1, "seconds": 2.04, "failed": ""},
        {"values": {"model.hidden": [8]}, "auc": None, "epoch": 0, "seconds": 1.0, "failed": "It diverged."},
    ]
    (folder / "summary.json").write_text(json.dumps({**content, "tuner": tuner_summary(trials)}))
    (folder / "details.json").write_text(json.dumps({**details(), "tuning": trials}))
    page = HTMLPage(write_report(folder, tmp_path, tmp_path / "report.html"))
    assert "Search for the best settings 3 trials were trained" in page.text
    assert "2 chosen [16] 0.7225 1 2.0 1 own setting [64, 32] 0.7100 2 3.0 3 [8] It diverged." in page.text
    assert "din, layers 16, dice" in page.text  # the card shows what was trained
    assert "model.hidden [16]" in page.text  # so does the list of the configuration
