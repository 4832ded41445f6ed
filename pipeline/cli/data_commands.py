"""`din synth` and `din import`: they make data sets in the layout that `din run` reads."""

import argparse
import json
import os
import re
from pathlib import Path
from typing import Any

from components.base.errors import InputError
from pipeline.cli.arguments import Commands, add_command, add_json, command_line, local_path
from pipeline.datasets.synthetic_config import LONG
from pipeline.terminal import say

_SYNTHETIC_SIZES = {
    "examples": "number of impressions",
    "users": "number of users",
    "items": "number of items",
    "categories": "number of categories",
    "history": f"number of a user's most recent clicks that a history holds; above {LONG}, users come with a past of so many clicks",
    "seed": "seed of all random numbers",
    "days": "a folder for each of so many days from 2026-01-01 on, instead of splits",
}

_EMPTY_NAMED = 5  # days without impressions that are named


def add_commands(commands: Commands) -> None:
    _add_synth(add_command(commands, "synth", "make a data set of synthetic impressions, whose best possible AUC is known"))
    _add_import(add_command(commands, "import", "make a data set from real data"))


def _add_synth(synth: argparse.ArgumentParser) -> None:
    preset = "the configuration that gives the sizes which are not given here (default: notebook)"
    synth.add_argument("--preset", choices=("notebook", "demo", "ads"), default="notebook", help=preset)
    for name, meaning in _SYNTHETIC_SIZES.items():
        synth.add_argument(f"--{name}", type=int, metavar="N", help=f"{meaning} (default: as the preset)")
    drift = "with --days: share of the items that die from one day to the next, and of the interests that change (default: 0)"
    synth.add_argument("--drift", type=float, metavar="N", help=drift)
    labels = "interest: users click on what interests them (default); random: coin flips, from which nothing can be learnt"
    synth.add_argument("--labels", choices=("interest", "random"), help=labels)
    ads = "give candidates a price and a brand, on which clicks depend, and events their prices"
    synth.add_argument("--ads", action="store_true", default=None, help=ads)
    conversions = "add a second label, purchase: which clicks are followed by one, from a probability that is known, too"
    synth.add_argument("--conversions", action="store_true", default=None, help=conversions)
    synth.add_argument("--item-features", type=Path, metavar="FILE.npz", help="also write the latent vectors of the items, with their ids")
    synth.add_argument("--out", type=local_path, required=True, metavar="DIR", help="the data set: a new or an empty folder")
    add_json(synth, "the manifest of the data set as one JSON object")
    synth.set_defaults(call=_synth)


def _add_import(imports: argparse.ArgumentParser) -> None:
    from pipeline.datasets.sources.by_name import SOURCES

    imports.add_argument("name", choices=SOURCES, help="the format of the source")
    imports.add_argument("source", type=local_path, metavar="SOURCE", help="the file or the folder of the source")
    imports.add_argument(
        "--out", type=local_path, metavar="DIR", help="the data set: a new or an empty folder (needed, but not with --guess)"
    )
    mapping = "for clicklog: a TOML file that gives each column its role, or the name of a shipped one"
    imports.add_argument("--mapping", metavar="FILE|NAME", help=mapping)
    guess = "for clicklog: look at the first 10,000 rows, print a mapping to edit, and import nothing"
    imports.add_argument("--guess", action="store_true", help=guess)
    metadata = "for amazon and sequences: the file that describes the items (default: the one beside SOURCE)"
    imports.add_argument("--metadata", type=Path, metavar="FILE", help=metadata)
    fields = "for movielens and amazon: also write the items' genres and year, or all categories, brand and price"
    imports.add_argument("--item-fields", action="store_true", help=fields)
    labels = "for requests: a table (CSV, JSON lines or Parquet) with request_id, and perhaps candidate_item_id, label and timestamp"
    imports.add_argument("--labels", type=Path, metavar="FILE", help=labels)
    label_window = "for requests: an impression without a label counts as not clicked after this time, e.g. 30m, 24h or 7d (default: never)"
    imports.add_argument("--label-window", metavar="TIME", help=label_window)
    config = (
        "for requests: the configuration of the model, a TOML file or the name of a shipped one; its features say what the inputs are, "
        "and its labels are columns of --labels (default: names say what are candidates and histories, and there is one label)"
    )
    imports.add_argument("--config", metavar="FILE|NAME", help=config)
    splits = (
        "what goes into validation/ and eval/: each user's last impressions (last) or last items (last-items), the latest impressions of "
        "all users (time), some of the users (user), or what the source says (given) (default: last if the source has impressions without "
        "a click, otherwise last-items)"
    )
    imports.add_argument("--split", choices=("last", "last-items", "time", "user", "given"), help=splits)
    imports.add_argument("--eval-share", type=float, metavar="N", help="share of eval/ with last, time and user (default: 0.2)")
    validation_share = "share of validation/ with last, time and user, and with given if the source has none (default: 0.1)"
    imports.add_argument("--validation-share", type=float, metavar="N", help=validation_share)
    last = "with last-items: number of each user's items in eval/, and of those in validation/ (default: 1)"
    imports.add_argument("--last", type=int, metavar="N", help=last)
    spans = "day: write a folder for each day in UTC, day=YYYY-MM-DD/impressions/, instead of train/, validation/ and eval/"
    imports.add_argument("--spans", choices=("day",), help=spans)
    negatives = (
        "where impressions without a click come from: the source (observed), or items drawn at random, with equal chances (uniform) or in "
        "proportion to their clicks (popularity) (default: observed if the source has any, otherwise uniform)"
    )
    imports.add_argument("--negatives", choices=("observed", "uniform", "popularity"), help=negatives)
    per_positive = "number of drawn impressions without a click for each one with a click (default: 1)"
    imports.add_argument("--negatives-per-positive", type=int, metavar="N", help=per_positive)
    history = "number of a user's most recent clicks that a history holds (default: 50)"
    imports.add_argument("--history", type=int, metavar="N", dest="history_length", help=history)
    imports.add_argument("--seed", type=int, metavar="N", help="seed of what is drawn: negatives, and users of a split (default: 0)")
    broken = "leave out broken lines and count them; without this option the first broken line ends the import"
    imports.add_argument("--skip-broken", action="store_true", default=None, help=broken)
    add_json(imports, "the manifest of the data set as one JSON object")
    imports.set_defaults(call=_import)


def _synth(args: argparse.Namespace) -> int:
    from pipeline.configuration.load_config import load_config, parse_section
    from pipeline.datasets.synthetic import generate
    from pipeline.datasets.synthetic_config import SyntheticConfig

    given = {name: value for name in SyntheticConfig.model_fields if (value := getattr(args, name, None)) is not None}
    config = parse_section(SyntheticConfig, {**load_config(args.preset).synthetic.model_dump(), **given}, "din synth")
    _print_manifest(generate(config, args.out, item_features=args.item_features, command=command_line()), args)
    return 0


def _import(args: argparse.Namespace) -> int:
    from pipeline.configuration.load_config import load_config, parse_section
    from pipeline.console import Console
    from pipeline.datasets.importing.import_settings import ImportSettings
    from pipeline.datasets.importing.import_source import import_source
    from pipeline.datasets.sources.by_name import find_mapping, open_source
    from pipeline.terminal import Progress, interrupt_on_sigterm, output_to

    given = {name: value for name in ImportSettings.model_fields if (value := getattr(args, name)) is not None}
    if args.guess:
        return _guess(args, given)
    if args.out is None:
        raise InputError("--out is missing: name the folder for the data set, a new or an empty one.")
    settings = parse_section(ImportSettings, given, "din import")
    mapping, label_window = find_mapping(args.mapping) if args.mapping else None, _seconds(args.label_window)
    features = load_config(args.config).features if args.config else None
    interrupt_on_sigterm()
    with output_to(Path(os.devnull)) as terminal:  # logs of requests are read with TensorFlow, which prints to stderr
        source = open_source(args.name, args.source, mapping, args.metadata, args.labels, label_window, args.item_fields, features)
        progress = Progress(Console(file=terminal, quiet=args.json))
        try:
            manifest = import_source(source, args.out, settings, command_line(), progress)
        finally:
            progress.stop()
    if not args.json:
        from pipeline.datasets.importing.import_report import lines

        for line in lines(manifest):
            say(line)
    _print_manifest(manifest, args)
    return 0


def _seconds(text: str | None) -> int | None:
    """Returns a time such as 24h in seconds.

    Raises:
        InputError: It is no such time.
    """
    if text is None:
        return None
    found = re.fullmatch("([0-9]{1,9})([smhd])", text)
    if not found:
        raise InputError(f"--label-window is {text!r}: give seconds, minutes, hours or days, such as 90s, 30m, 24h or 7d.")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]


def _guess(args: argparse.Namespace, settings: dict[str, Any]) -> int:
    """Prints a mapping for a click log."""
    from pipeline.datasets.guess.guess_mapping import guess_mapping

    options_of_imports = ("out", "mapping", "metadata", "item_fields", "labels", "label_window", "config", "json")
    others = [name for name in options_of_imports if getattr(args, name)]
    if args.name != "clicklog":
        raise InputError(f"--guess is for clicklog: {args.name} needs no mapping.")
    if others := [*others, *settings]:
        options = " and ".join(f"--{name.removesuffix('_length').replace('_', '-')}" for name in others)
        raise InputError(f"--guess only prints a mapping and imports nothing: leave out {options}.")
    for line in guess_mapping(args.source):
        say(line)
    return 0


def _print_manifest(manifest: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        say(json.dumps(manifest))
        return
    if "days" in manifest:
        _print_days(manifest, args.out)
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in manifest["examples"].items())
    say(f"{args.out}: {counts} impressions")
    if "oracle_by_label" in manifest:
        for label, metrics in manifest["oracle_by_label"].items():
            say(f"oracle of {label} on eval: {_metrics(metrics)}")
    elif "oracle" in manifest:
        say(f"oracle on eval: {_metrics(manifest['oracle'])}")


def _print_days(manifest: dict[str, Any], out: Path) -> None:
    days, empty = manifest["days"], manifest["empty_days"]
    say(f"{out}: {sum(days.values()):,} impressions on {len(days):,} days, {min(days)} to {max(days)}, in UTC")
    if empty:
        more = " …" if len(empty) > _EMPTY_NAMED else ""
        say(f"no impressions, and so no folder, for {len(empty):,} days between them: {', '.join(empty[:_EMPTY_NAMED])}{more}")
    for day, metrics in manifest.get("oracle_by_day", {}).items():
        say(f"oracle on {day}: {_metrics(metrics)}")


def _metrics(metrics: dict[str, float | None]) -> str:
    from pipeline.records.summary_tables import number

    return ", ".join(f"{name} {number(value)}" for name, value in metrics.items())
