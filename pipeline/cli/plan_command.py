"""`din plan`: what a run of some size will take, from the rates of this machine."""

import argparse
import json
import math

from components.base.errors import InputError
from pipeline.cli.arguments import Commands, add_command, add_json, add_settings
from pipeline.terminal import say

ENGINES = ("flink", "spark", "dataflow", "portable")
_MOST = 10**13  # impressions, or rows of a table


def add_commands(commands: Commands) -> None:
    plan = add_command(commands, "plan", "estimate the hours, the disk and the memory of a run, from the rates of this machine")
    plan.add_argument("--impressions", type=_count, required=True, metavar="N", help="the impressions of all splits, e.g. 1e9")
    history = "the events of a history, on average; the model reads so many (default: features.history_length, all histories full)"
    plan.add_argument("--history", type=_length, metavar="N", help=history)
    engine = "the engine of the stages that go through Beam, with --cores (default: beam.engine of the configuration, or flink)"
    plan.add_argument("--engine", choices=ENGINES, help=engine)
    plan.add_argument("--cores", type=_count, metavar="N", help="the cores of the engine (default: no engine, all on this machine)")
    ids = "the rows of an embedding table, e.g. user_id=1e7; can be repeated (default: a guess, which is printed)"
    plan.add_argument("--ids", metavar="TABLE=N", action="append", default=[], help=ids)
    plan.add_argument("--make", choices=["synth", "import"], help="count the making of the data as well: by din synth or by din import")
    config = "a TOML file, or the name of a shipped configuration (default: the default of every setting)"
    plan.add_argument("--config", metavar="FILE|NAME", help=config)
    add_settings(plan)
    add_json(plan, "the plan, its assumptions and the rates as one JSON object")
    plan.set_defaults(call=_plan)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _count(text: str) -> int:
    number = _number(text)
    if not (1 <= number <= _MOST and number == int(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is no count: write a whole number from 1 to 1e13, e.g. 1e9")
    return int(number)


def _length(text: str) -> float:
    from din_trainer.features import LONGEST_HISTORY

    number = _number(text)
    if not 0 < number <= LONGEST_HISTORY:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of events: write a number above 0, at most {LONGEST_HISTORY:,}, e.g. 50")
    return number


def _plan(args: argparse.Namespace) -> int:
    from pipeline.configuration.load_config import load_config
    from pipeline.console import Console
    from pipeline.plan.estimate import Engine, make_plan
    from pipeline.plan.plan_tables import as_json, print_plan
    from pipeline.plan.rates import read_rates
    from pipeline.plan.stages import BY_NAME
    from pipeline.plan.workload import Workload, table_rows

    config = load_config(args.config, args.settings)
    configured = None if config.beam.engine == "local" else config.beam.engine
    name = args.engine or configured
    if name and not args.cores:
        raise InputError(f"the engine {name} needs --cores: say how many cores it has.")
    features = config.features
    history = features.longest_history if args.history is None else args.history
    if history > features.longest_history:
        longest = "long_history_length" if features.long_history_length else "history_length"
        config = load_config(args.config, [*args.settings, f"features.{longest}={math.ceil(history)}"])
    given = _given_rows(args.ids, list(config.features.tables))
    work = Workload(config, args.impressions, history, table_rows(config, args.impressions, given))
    rates = read_rates()
    engine = Engine(name or ENGINES[0], args.cores) if args.cores else None
    plan = make_plan(work, rates, engine, (BY_NAME[f"din {args.make}"],) if args.make else ())
    if args.json:
        say(json.dumps(as_json(plan, rates, given)))
    else:
        print_plan(plan, rates, given, Console())
    return 0


def _given_rows(ids: list[str], tables: list[str]) -> dict[str, int]:
    """The rows of tables as the user named them."""
    given = {}
    for text in ids:
        name, _, count = text.partition("=")
        if name not in tables:
            raise InputError(f"--ids {text!r}: the model has no table {name!r}, only {', '.join(tables)}.")
        try:
            given[name] = _count(count)
        except argparse.ArgumentTypeError as error:
            raise InputError(f"--ids {text!r}: {error}.") from error
    return given
