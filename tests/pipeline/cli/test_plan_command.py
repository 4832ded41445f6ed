"""`din plan`: what it prints, and how it refuses."""

import json
from pathlib import Path

import pytest

from pipeline.cli import plan_command
from pipeline.cli.main import main
from pipeline.plan.engine_costs import ENGINES
from pipeline.plan.rates import write_rates
from tests.pipeline.plan.rates_of_a_machine import rates

BILLION = ["plan", "--impressions", "1e9", "--history", "50"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_json_has_the_hours_by_stage_and_the_engine(capsys: pytest.CaptureFixture[str]):
    write_rates(rates())
    assert main([*BILLION, "--cores", "200", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["values"] == 6 + 3 * 50
    assert plan["engine"] == {"name": "flink", "cores": 200}
    by_name = {found["stage"]: found for found in plan["stages"]}
    assert by_name["check data"]["hours"] == pytest.approx((3 + 1000 + 1e9 * 156 * 1e-7) / 3600)
    assert by_name["StatisticsGen"]["hours"] == pytest.approx(4002 / 3600)
    flink = ENGINES["flink"]
    assert by_name["StatisticsGen"]["engine_hours"] == pytest.approx((2 + flink.job_seconds + flink.factor * 4000 / 200) / 3600)
    assert plan["hours"] == pytest.approx(sum(found["hours"] for found in plan["stages"]))
    assert plan["disk"]["data"]["first_run"] == 1e9 * (20 + 156)


def test_history_is_read_whole_even_if_the_configuration_reads_less(capsys: pytest.CaptureFixture[str]):
    write_rates(rates())
    products = []
    for length in ([], ["--set", "features.history_length=50"], ["--set", "features.history_length=100"]):
        assert main([*BILLION, *length, "--json"]) == 0
        products.append(json.loads(capsys.readouterr().out)["stages"][7]["cpu_seconds"])
    assert products[0] == products[1] == products[2] > 0


def test_the_table_shows_where_each_stage_runs_and_each_assumption(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    write_rates(rates())
    assert main([*BILLION, "--cores", "200", "--ids", "user_id=1e8", "--make", "import"]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.strip().startswith("StatisticsGen")).split()
    flink = ENGINES["flink"]
    assert line == ["StatisticsGen", "flink", "2.0", "4.00", "1.1", "1.1", f"{(2 + flink.job_seconds + flink.factor * 20) / 3600:.3f}"]
    assert "din import" in out
    for sentence in (
        "* Rates of 2 cores, a processor, 24 GB, measured on 2026-11-28 by din-tfx 0.1.0; they were fitted to 10 impressions.",
        "user_id 100,000,000 × 16 (given)",
        "item 1,000,000 × 16 (guessed, --ids item=N says better)",
        "* Only StatisticsGen, Transform, Evaluator go through Beam and run on flink.",
        "spread over 200 cores",
        "pays from about",
    ):
        assert sentence in out


def test_the_engine_of_the_configuration_is_planned(capsys: pytest.CaptureFixture[str]):
    write_rates(rates())
    assert main([*BILLION, "--cores", "8", "--set", "beam.engine=spark", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"] == {"name": "spark", "cores": 8}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("training.workers=2", "Trainer: epochs are those of one process: 2 workers on as many machines take at best 1/2 of its hours."),
        (
            "training.workers=2",
            "The memory of Trainer is that of the first worker, which writes the model. On one machine all 2 take theirs.",
        ),
        ("training.optimizer=adam", "changes every row of the tables in each step: that is not counted."),
        ("model.kind=bst", "model.kind 'bst' was not measured"),
        ("training.memory_mb=10", "do not fit into training.memory_mb, and are read anew in each epoch."),
    ],
)
def test_what_the_rates_do_not_cover_is_said(setting: str, sentence: str, capsys: pytest.CaptureFixture[str]):
    write_rates(rates())
    assert main([*BILLION, "--set", setting, "--json"]) == 0
    assert any(sentence in line for line in json.loads(capsys.readouterr().out)["assumptions"])


def test_rates_of_a_busy_machine_are_said(capsys: pytest.CaptureFixture[str]):
    write_rates(rates().model_copy(update={"waited": 0.6}))
    assert main([*BILLION, "--json"]) == 0
    said = [line for line in json.loads(capsys.readouterr().out)["assumptions"] if "the runs waited 60% of their time" in line]
    assert len(said) == 1 and said[0].endswith("measure again with din bench data --rates when it is quiet.")


def test_no_rates_is_one_sentence(capsys: pytest.CaptureFixture[str]):
    assert main(BILLION) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("din: the rates of this machine are not known")
    assert err.endswith("measure them with din bench data --rates.\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--engine", "flink"], "the engine flink needs --cores"),
        (["--set", "beam.engine=spark"], "the engine spark needs --cores"),
        (["--ids", "shop=5"], "the model has no table 'shop', only item, category, user_id"),
        (["--ids", "item"], "'' is no count"),
        (["--set", "training.epoch=1"], "did you mean 'training.epochs'?"),
    ],
)
def test_what_does_not_fit_is_one_sentence(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]):
    write_rates(rates())
    assert main([*BILLION, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and reason in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--impressions", "0"],
        ["--impressions", "-5"],
        ["--impressions", "1.5"],
        ["--impressions", "nan"],
        ["--impressions", "1e99"],
        ["--impressions", "many"],
        ["--impressions", "1e6", "--history", "0"],
        ["--impressions", "1e6", "--history", "1e9"],
        ["--impressions", "1e6", "--cores", "0.5"],
        ["--impressions", "1e6", "--cores", "2", "--engine", "local"],
        [],
    ],
)
def test_numbers_without_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["plan", *arguments])
    assert ended.value.code == 2
    assert "din plan: error: " in capsys.readouterr().err


def test_every_engine_with_a_cost_can_be_asked():
    assert set(plan_command.ENGINES) == set(ENGINES)
