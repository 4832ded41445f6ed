"""Shows a plan: tables of hours, disk and memory, and each assumption in a sentence; or all of it as JSON."""

from collections.abc import Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from pipeline.console import Console
from pipeline.plan.engine_costs import ENGINES, shards
from pipeline.plan.estimate import Plan, StageCost
from pipeline.plan.rates import COMMAND, Rates
from pipeline.plan.stages import EPOCHS, READ
from pipeline.report.text_format import size

_MEASURED_KINDS = ("din",)  # of models
_QUIET = 0.1  # share of the time that runs wait on a machine with no other work, at most


def print_plan(plan: Plan, rates: Rates, given: dict[str, int], console: Console) -> None:
    """Prints the tables and the assumptions.

    Args:
        plan: The plan.
        rates: What it follows from.
        given: The rows of tables that the user named.
        console: Where to print.
    """
    work = plan.work
    console.print(f"{work.impressions:,} impressions, {work.history:g} events in a history, {work.values:,.0f} values an impression")
    console.print(_stage_table(plan))
    console.print(_disk_table(plan))
    console.print(_memory_table(plan))
    for sentence in sentences(plan, rates, given):
        console.print(f"* {sentence}", soft_wrap=True)


def as_json(plan: Plan, rates: Rates, given: dict[str, int]) -> dict[str, Any]:
    """The same as JSON: seconds, hours and bytes."""
    work, engine = plan.work, plan.engine
    return {
        "impressions": work.impressions,
        "history": work.history,
        "values": work.values,
        "rows": work.rows,
        "engine": engine._asdict() if engine else None,
        "making_the_data": [_stage_json(found) for found in plan.sources],
        "stages": [_stage_json(found) for found in plan.stages],
        "hours": sum(found.hours for found in plan.stages),
        "engine_hours": sum(found.engine_hours for found in plan.stages) if engine else None,
        "engine_pays_from": plan.pays_from,
        "disk": {name: {"first_run": first, "further_run": further} for name, (first, further) in plan.disk.items()},
        "memory": plan.memory,
        "assumptions": list(sentences(plan, rates, given)),
        "rates": rates.model_dump(mode="json"),
    }


def sentences(plan: Plan, rates: Rates, given: dict[str, int]) -> Iterator[str]:
    """Yields each assumption, and what follows from the engine."""
    work = plan.work
    training = work.config.training
    yield f"Rates of {rates.machine}, measured on {rates.measured} by din-tfx {rates.version}; they were fitted to {'; '.join(rates.runs)}."
    if rates.waited > _QUIET:
        waited = f"The machine did other work meanwhile: the runs waited {rates.waited:.0%} of their time"
        yield f"{waited}. CPU seconds are then up to twice as many: measure again with {COMMAND} when it is quiet."
    yield f"A stage keeps as many cores busy as it did there: {_cores(rates)}."
    yield "80 % of the impressions are train/, 10 % validation/, 10 % eval/. Ids are integers as din synth makes them; texts take more."
    yield f"Rows of the tables: {', '.join(_rows(plan, given))}."
    yield f"All {training.epochs} epochs are trained; training.patience may end them earlier."
    if trials := work.config.tuner.trials:
        once = sum(found.hours for found in plan.stages if found.stage.name in (READ, EPOCHS))
        yield f"The {trials} trials of the tuner are not counted above: they take up to {_hours(once * trials)} hours more."
    where = "are kept in memory" if work.in_memory else "do not fit into training.memory_mb, and are read anew in each epoch"
    yield f"The impressions that are trained on take {size(round(work.packed_mb * 1e6))} and {where}."
    if training.workers > 1:
        count = training.workers
        yield f"{EPOCHS} are those of one process: {count} workers on as many machines take at best 1/{count} of its hours."
        yield f"The memory of Trainer is that of the first worker, which writes the model. On one machine all {count} take theirs."
    if work.config.model.kind not in _MEASURED_KINDS:
        yield f"model.kind {work.config.model.kind!r} was not measured: its training is estimated by the products of its last layers alone."
    if training.optimizer == "adam":
        yield "The rates are those of lazy_adam. The textbook's adam changes every row of the tables in each step: that is not counted."
    yield "Nothing comes from the cache, and there is no baseline, which would double most of Evaluator and UserBootstrap."
    if plan.engine:
        yield from _engine_sentences(plan)


def _engine_sentences(plan: Plan) -> Iterator[str]:
    assert plan.engine
    name, cores = plan.engine
    engine, spread = ENGINES[name], min(cores, shards(plan.work.impressions))
    names = ", ".join(found.stage.name for found in plan.stages if found.stage.on_engine)
    yield f"Only {names} go through Beam and run on {name}. All other stages run on one machine, whatever the engine."
    takes = f"each of them takes {engine.job_seconds:g} s more and {engine.factor:g} times the CPU seconds ({engine.source})"
    yield f"On {name} {takes}, spread over {spread:,} cores, as a core works on whole shards of 100,000 impressions."
    if plan.pays_from is None:
        yield f"{name} on {cores} cores never pays: it takes {engine.factor:g} times the CPU seconds."
    else:
        yield f"{name} on {cores} cores pays from about {plan.pays_from:,.0f} impressions on; below, one machine is faster."


def _rows(plan: Plan, given: dict[str, int]) -> Iterator[str]:
    tables = plan.work.config.features.tables
    for name, rows in plan.work.rows.items():
        why = "given" if name in given else "fixed" if tables[name].rows else f"guessed, --ids {name}=N says better"
        yield f"{name} {rows:,} × {tables[name].dim} ({why})"


def _cores(rates: Rates) -> str:
    several = [f"{name} {rate.cores:.1f}" for name, rate in rates.stages.items() if rate.cores >= 1.05]
    return ", ".join([*several, "all others one" if several else "one"])


def _stage_table(plan: Plan) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=0)
    engine = f"{plan.engine.name}, {plan.engine.cores:,} cores" if plan.engine else ""
    table.add_column("stage", overflow="fold")
    for name in ("runs on", "fixed, CPU s", "µs an impression", "CPU hours", "hours here", *([f"hours, {engine}"] if engine else [])):
        table.add_column(name, justify="right")
    for found in plan.sources:
        table.add_row(*_row(found, plan))
    if plan.sources:
        table.add_section()
    for found in plan.stages:
        table.add_row(*_row(found, plan))
    table.add_section()
    sums = [sum(found.cpu_seconds for found in plan.stages) / 3600, sum(found.hours for found in plan.stages)]
    sums += [sum(found.engine_hours or 0.0 for found in plan.stages)] if engine else []
    table.add_row("the whole run", "", "", "", *map(_hours, sums))
    return table


def _row(found: StageCost, plan: Plan) -> list[str]:
    growing = (found.cpu_seconds - found.fixed) / plan.work.impressions * 1e6
    where = plan.engine.name if plan.engine and found.stage.on_engine else "one machine"
    hours = [found.cpu_seconds / 3600, found.hours, *([found.engine_hours] if found.engine_hours is not None else [])]
    return [found.stage.name, where, f"{found.fixed:.1f}", f"{growing:.2f}", *map(_hours, hours)]


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.1f}" if hours >= 1 else f"{hours:.3f}"


def _disk_table(plan: Plan) -> Table:
    table = Table("on disk", "first run", "each further run", box=SIMPLE_HEAD, show_edge=False, padding=0)
    for name, (first, further) in plan.disk.items():
        table.add_row(name, size(round(first)), size(round(further)) if further else "")
    table.add_section()
    first, further = (sum(column) for column in zip(*plan.disk.values(), strict=True))
    table.add_row("all", size(round(first)), size(round(further)))
    return table


def _memory_table(plan: Plan) -> Table:
    table = Table("memory", "peak", box=SIMPLE_HEAD, show_edge=False, padding=0)
    for name, peak in plan.memory.items():
        table.add_row(name, size(round(peak)))
    return table


def _stage_json(found: StageCost) -> dict[str, Any]:
    return {
        "stage": found.stage.name,
        "on_engine": found.stage.on_engine,
        "cpu_seconds": found.cpu_seconds,
        "fixed_cpu_seconds": found.fixed,
        "hours": found.hours,
        "engine_hours": found.engine_hours,
    }
