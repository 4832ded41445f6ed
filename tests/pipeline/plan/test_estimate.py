"""A plan follows from the rates by arithmetic, which these tests do by hand."""

import pytest

from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.plan.engine_costs import ENGINES, EngineCost, pays_from, spread
from pipeline.plan.estimate import Engine, Plan, make_plan
from pipeline.plan.plan_tables import sentences
from pipeline.plan.stages import BY_NAME, EPOCHS, READ, SYNTH
from pipeline.plan.workload import Workload, table_rows
from tests.pipeline.plan.rates_of_a_machine import rates

MILLION = 10**6
SETTINGS = ["training.epochs=4", "training.batch_size=1000", "model.hidden=[8]", "model.attention_hidden=[4]"]


def work(impressions: int = MILLION, *settings: str, **rows: int) -> Workload:
    config = load_config(None, [*SETTINGS, *settings])
    return Workload(config, impressions, 3, table_rows(config, impressions, rows))


def seconds(plan: Plan) -> dict[str, float]:
    return {found.stage.name: found.cpu_seconds for found in plan.stages}


def test_cpu_seconds_are_the_fixed_part_and_the_units_of_work():
    found = seconds(make_plan(work(), rates(), None))
    assert found["check data"] == pytest.approx(3 + 1 + 0.1 * 15)  # 15 values an impression
    assert found["StatisticsGen"] == pytest.approx(2 + 4)
    assert found["Transform"] == pytest.approx(4 + 5 * 0.8)  # it reads train/
    assert found["Evaluator"] == pytest.approx(1 + 10 * 0.1)  # it reads eval/
    products = (16 * 7 + 4) * 8 + 8 + 32 * 4 + 3 * (64 * 4 + 4)
    assert found[EPOCHS] == pytest.approx(4 * (0.5 + 800 * 1e-3 + 800_000 * products * 1e-9))


def test_hours_are_cpu_seconds_by_the_cores_that_a_stage_keeps_busy():
    assert make_plan(work(), rates(cores=1.5), None).stages[0].hours == pytest.approx(5.5 / 1.5 / 3600)


def test_making_the_data_is_counted_if_asked():
    made = make_plan(work(), rates(), None, (BY_NAME[SYNTH],)).sources
    assert [found.cpu_seconds for found in made] == [pytest.approx(1.5)]  # 10⁶ impressions of 15 values, 10⁻⁷ s each


def test_only_the_beam_stages_get_the_cores_of_the_engine():
    plan = make_plan(work(100 * MILLION), rates(cores=2.0), Engine("flink", 50))
    flink = ENGINES["flink"]
    hours = {found.stage.name: found.engine_hours for found in plan.stages}
    assert hours["StatisticsGen"] == pytest.approx((2 / 2 + flink.job_seconds + 400 * flink.factor / 50) / 3600)
    others = [found for found in plan.stages if found.stage.name not in ("StatisticsGen", "Transform", "Evaluator")]
    assert len(others) == len(plan.stages) - 3
    assert all(found.engine_hours == found.hours for found in others)


def test_a_core_works_on_whole_shards():
    engine = EngineCost(job_seconds=10, factor=2)
    assert spread(1, 30, 300_000, engine, cores=200) == 1 + 10 + 2 * 30 / 3  # three shards of 100,000
    assert spread(1, 30, 50_000, engine, cores=200) == 1 + 10 + 2 * 30


def test_the_engine_pays_where_both_times_are_equal():
    engine = EngineCost(job_seconds=50, factor=1.5)
    # 3 jobs of 50 s; each impression saves 10 µs · (1 − 1.5 / 6) = 7.5 µs
    assert pays_from(10e-6, 10e-6, 3, engine, cores=6) == pytest.approx(150 / 7.5e-6)
    assert pays_from(10e-6, 10e-6, 3, engine, cores=1) is None  # more work on no more cores


def test_the_engine_pays_from_where_it_is_faster_with_the_cores_that_have_a_shard():
    """With 200 cores for 5 shards, 195 cores wait. All sizes near the result are tried one by one, with the times of the table."""
    engine = EngineCost(job_seconds=50, factor=1.5)

    def wins(impressions):
        return 3 * 50 + 1.5 * 300e-6 * impressions / min(200, max(impressions // 100_000, 1)) <= 300e-6 * impressions

    found = pays_from(300e-6, 300e-6, 3, engine, cores=200)
    tried = [size for size in range(10_000, 3_000_000, 1_000) if not wins(size)]
    assert found == pytest.approx(tried[-1], abs=1_001) and found > 600_000
    assert tried == list(range(10_000, tried[-1] + 1, 1_000))  # below, it never wins


def test_the_engine_pays_from_the_shard_that_gives_a_further_core_work():
    engine = EngineCost(job_seconds=10, factor=1)
    # two cores save 50 µs an impression, which are 10 s at 200,000 impressions: exactly where the second core gets a shard
    assert pays_from(100e-6, 100e-6, 1, engine, cores=2) == pytest.approx(200_000)
    assert pays_from(100e-6, 100e-6, 1, engine._replace(job_seconds=5), cores=2) == 200_000  # one core alone saves nothing


def test_where_the_engine_pays_the_plan_has_the_same_hours_for_both():
    plan = make_plan(work(20 * MILLION), rates(cores=1.2), Engine("flink", 4))
    assert plan.pays_from is not None
    again = make_plan(work(round(plan.pays_from)), rates(cores=1.2), Engine("flink", 4))
    assert sum(found.engine_hours or 0 for found in again.stages) == pytest.approx(sum(found.hours for found in again.stages), rel=1e-3)


def test_the_disk_has_the_data_twice_and_the_tables_with_and_without_moments():
    plan = make_plan(work(MILLION, user_id=1_000, item=500, category=500), rates(), None)
    data, floats, ids = MILLION * (20 + 15), 2_000 * 16, 2_000 * 10
    assert plan.disk["data"] == (data, 0)
    assert plan.disk["copy of the data (ImportExampleGen)"] == (data, 0)
    assert plan.disk["eval/ with slice columns (SliceColumns)"] == (100_000 * 50, 0)
    assert plan.disk["model of the run: SavedModel, Keras, vocabularies"] == (16 * floats + 2 * ids, 16 * floats + 2 * ids)
    assert plan.disk["pushed version"] == (4 * floats + ids, 4 * floats + ids)


def test_memory_has_tables_with_both_moments_of_adam_and_the_impressions():
    plan = make_plan(work(MILLION, user_id=10**6, item=0, category=0), rates(), None)
    process = 1e9 + 15 * 1e6
    impressions = 36 * 4 * 900_000  # at the full length of 10 events
    assert plan.memory["Trainer: impressions in memory, tables"] == pytest.approx(process + impressions + 10**6 * 16 * 13)
    assert plan.memory["UserBootstrap: eval/"] == pytest.approx(process + 100_000 * 400 + 10**6 * 16 * 4)


def test_at_the_end_the_best_weights_and_the_file_take_more_than_the_training():
    plan = make_plan(work(MILLION, user_id=10**6, item=0, category=0), rates(), None)
    assert plan.memory["Trainer: tables while the model is written"] == pytest.approx(1e9 + 15e6 + 10**6 * 16 * 25)


def test_workers_share_the_impressions_and_the_tables_with_enough_rows():
    shared = ("training.workers=4", "training.split_rows=1000000")
    plan = make_plan(work(MILLION, *shared, user_id=10**6, item=999_999, category=0), rates(), None)
    process, own = 1e9 + 15e6, 36 * 4 * 900_000 / 4
    split, whole = 10**6 * 16, 999_999 * 16
    assert plan.memory["Trainer: impressions in memory, tables"] == pytest.approx(process + own + 13 * split / 4 + 13 * whole)
    # the first worker reads its best rows back, and puts the whole table together
    assert plan.memory["Trainer: tables while the model is written"] == pytest.approx(process + 18 * split / 4 + 18 * split + 25 * whole)


def test_impressions_that_do_not_fit_take_training_memory_mb_and_are_read_in_each_epoch():
    plan = make_plan(work(MILLION, "training.memory_mb=10", user_id=1, item=1, category=1), rates(), None)
    assert plan.memory["Trainer: impressions in memory, tables"] == pytest.approx(1e9 + 15e6 + 10e6 + 3 * 16 * 13)
    once, streamed = (BY_NAME["Trainer: read and export"].amounts(w)["values"] for w in (work(), work(MILLION, "training.memory_mb=10")))
    assert streamed == 4 * once


def test_rates_that_lack_a_stage_are_refused():
    old = rates().model_copy(update={"stages": {}})
    with pytest.raises(InputError, match=r"lack the stage 'check data'.*din bench data --rates"):
        make_plan(work(), old, None)


def test_the_trials_of_a_search_are_named_with_their_hours():
    plan = make_plan(work(MILLION, "tuner.trials=10"), rates(), None)
    once = sum(found.hours for found in plan.stages if found.stage.name in (READ, EPOCHS))
    named = [text for text in sentences(plan, rates(), {}) if "trials of the tuner" in text]
    hours = f"{10 * once:.1f}" if 10 * once >= 1 else f"{10 * once:.3f}"
    assert named == [f"The 10 trials of the tuner are not counted above: they take up to {hours} hours more."]
    assert not [text for text in sentences(make_plan(work(), rates(), None), rates(), {}) if "tuner" in text]
