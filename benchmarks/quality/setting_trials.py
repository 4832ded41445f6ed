"""Compares settings on the data sets of a suite by validation AUC: `python -m benchmarks.quality.setting_trials`.

Defaults and settings of a data set are chosen by what this prints for validation/. The figures of eval/ stand beside it only to report what
a choice means there. Each `--vary key=a|b|c` multiplies the trials. Finished trainings are kept, so the same command goes on where it was.

    python -m benchmarks.quality.setting_trials --sources ../shared/data --vary "model.interactions=none|sum|inner|elementwise"
"""

import argparse
import itertools
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.quality.compared_models import MODELS, choose_models
from benchmarks.quality.model_table import figure, spread
from benchmarks.quality.paired_intervals import Draws, difference
from benchmarks.suite.row_store import Row
from benchmarks.suite.suite_config import Planned, Suite, load_suite
from benchmarks.suite.suite_tables import difference_text
from benchmarks.suite.train_missing import Finished, SuiteWork
from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.records.run_list import LOG_FILE
from pipeline.terminal import Progress, complain, output_to, say

_HEADER = (
    *("trial", "validation AUC", "at the last epoch", "best epochs", "eval AUC", "eval GAUC", "eval log loss"),
    *("eval AUC − the first one's", "training"),
)


def variants(varied: Sequence[str]) -> list[tuple[str, ...]]:
    """Returns the settings of all trials.

    Args:
        varied: `key=a|b|c` each.

    Raises:
        InputError: One of them has no key or no value.
    """
    choices = []
    for text in varied:
        key, equals, values = text.partition("=")
        if not key or not equals or not values:
            raise InputError(f"--vary {text}: give a key and its values, such as training.learning_rate=0.001|0.003.")
        choices.append([f"{key}={value}" for value in values.split("|")])
    return list(itertools.product(*choices))


def trial_name(model: str, settings: Sequence[str]) -> str:
    """The name of a trial in tables and files."""
    return re.sub(r"[^A-Za-z0-9.=_-]+", "_", "-".join([model, *settings]))


def plan_trials(
    suite: Suite, models: Sequence[str], varied: Sequence[tuple[str, ...]], settings: Sequence[str], seeds: Sequence[int]
) -> dict[str, list[Planned]]:
    """Returns the trainings by data set: each model with each of the varied settings and each seed.

    Raises:
        InputError: A setting is not known or has a bad value.
    """
    return {
        data.name: [
            Planned(
                data.name,
                trial_name(model, own),
                seed,
                load_config(data.config, [*data.settings, *data.settings_of(model), *settings, *own, f"training.seed={seed}"]),
            )
            for model in models
            for own in varied
            for seed in seeds
        ]
        for data in suite.data
    }


def table_lines(title: str, finished: Finished) -> list[str]:
    """Returns the results on a data set as Markdown. Its trials are in the order of their mean validation AUC, the best one first."""
    draws = Draws(finished.judge)
    drawn = {name: draws.of([row.logits for row in rows])["auc"] for name, rows in finished.rows.items()}
    first = next(iter(finished.rows))
    lines = [f"### {title}", "", f"| {' | '.join(_HEADER)} |", f"|---|{'---:|' * (len(_HEADER) - 1)}"]
    for name in sorted(finished.rows, key=lambda name: -statistics.mean(_validation(finished.rows[name]))):
        rows = finished.rows[name]
        values, others = ([row.figures["auc"] for row in rows_of] for rows_of in (rows, finished.rows[first]))
        less = "–" if name == first else difference_text(difference(values, others, drawn[name], drawn[first]))
        metrics = [figure(spread([row.figures[metric] for row in rows])) for metric in ("auc", "gauc", "log_loss")]
        last = figure(spread([row.figures["validation_aucs"][-1] for row in rows]))
        epochs = ", ".join(f"{row.figures['best_epoch']}{'*' if row.figures['still_improving'] else ''}" for row in rows)
        seconds = f"{statistics.mean(row.figures['seconds'] for row in rows):.0f} s"
        lines.append(f"| {' | '.join([name, figure(spread(_validation(rows))), last, epochs, *metrics, less, seconds])} |")
    return [*lines, ""]


def _validation(rows: Sequence[Row]) -> list[float]:
    return [max(row.figures["validation_aucs"]) for row in rows]


def main(arguments: Sequence[str]) -> int:
    """Trains what is missing, and prints the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality.setting_trials", description=__doc__.partition("\n")[0])
    parser.add_argument("--suite", default="default", help="name of a suite, or a TOML file")
    parser.add_argument("--sources", type=Path, help="folder of the sources")
    parser.add_argument("--out", type=Path, default=Path("workspace", "quality", "trials"), help="folder of the trainings")
    parser.add_argument("--data", help="comma-separated data sets of the suite; all by default")
    parser.add_argument("--models", default="din", help=f"comma-separated: {', '.join(MODELS)}")
    parser.add_argument("--vary", action="append", default=[], metavar="KEY=A|B", help="values of a setting; repeat it for combinations")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE", help="a setting of all trials")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each trial")
    options = parser.parse_args(arguments)
    suite = load_suite(options.suite)
    named = options.data.split(",") if options.data else [data.name for data in suite.data]
    if unknown := sorted(set(named) - {data.name for data in suite.data}):
        raise InputError(f"--data: the suite {suite.name} has no {unknown[0]!r}: choose from {', '.join(d.name for d in suite.data)}.")
    suite = suite.model_copy(update={"data": tuple(data for data in suite.data if data.name in named)})
    planned = plan_trials(suite, choose_models(options.models), variants(options.vary), options.settings, range(options.seeds))
    options.out.mkdir(parents=True, exist_ok=True)
    with output_to(options.out / LOG_FILE) as terminal:
        progress = Progress(Console(file=terminal))
        try:
            work = SuiteWork(suite, planned, options.sources, options.out, " ".join(["setting_trials", *arguments]), progress)
            done = work.execute()
        finally:
            progress.stop()
        for data in suite.data:
            if data.name in done:
                for line in table_lines(data.title, done[data.name]):
                    say(line, terminal)
        for missing in work.not_run:
            say(f"not run: {missing.what}: {missing.why}", terminal)
    return int(work.has_failed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as error:
        complain(str(error))
        sys.exit(2)
