"""`din synth` and `din import`: data sets in the layout that `din run` reads."""

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline.cli.arguments import Commands, add_json, command_line

_SYNTHETIC_SIZES = {
    "examples": "impressions",
    "users": "users",
    "items": "items",
    "categories": "categories",
    "history": "most recent clicks that are kept of a user",
    "seed": "of all random numbers",
}


def add_commands(commands: Commands) -> None:
    _add_synth(commands.add_parser("synth", help="write synthetic impressions whose best possible AUC is known"))
    _add_import(commands.add_parser("import", help="bring real data into the same layout"))


def _add_synth(synth: argparse.ArgumentParser) -> None:
    synth.add_argument("--preset", choices=("notebook", "demo"), default="notebook", help="sizes to start from (default: notebook)")
    for name, meaning in _SYNTHETIC_SIZES.items():
        synth.add_argument(f"--{name}", type=int, metavar="N", help=meaning)
    synth.add_argument("--labels", choices=("interest", "random"), help="random: coin flips, from which nothing can be learnt")
    synth.add_argument("--item-features", type=Path, metavar="FILE.npz", help="also write the items' latent vectors, keyed by id")
    synth.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    add_json(synth, "the manifest")
    synth.set_defaults(call=_synth)


def _add_import(imports: argparse.ArgumentParser) -> None:
    from pipeline.datasets.sources.by_name import SOURCES

    imports.add_argument("name", choices=SOURCES)
    imports.add_argument("source", type=Path, metavar="SOURCE", help="its file or folder")
    imports.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    imports.add_argument("--mapping", metavar="FILE|NAME", help="TOML: the role of each column of a click log")
    metadata = "a file about the items (amazon, sequences; default: beside SOURCE)"
    imports.add_argument("--metadata", type=Path, metavar="FILE", help=metadata)
    splits = "by each user's last impressions or items, by time, by user, or as the source is split"
    imports.add_argument("--split", choices=("last", "last-items", "time", "user", "given"), help=splits)
    imports.add_argument("--eval-share", type=float, metavar="N", help="for last, time and user (default: 0.2)")
    imports.add_argument("--validation-share", type=float, metavar="N", help="for last, time, user and given (default: 0.1)")
    imports.add_argument("--last", type=int, metavar="N", help="for last-items: items of each user in eval, and in validation (default: 1)")
    negatives = "where impressions without a click come from (default: observed if the source has any)"
    imports.add_argument("--negatives", choices=("observed", "uniform", "popularity"), help=negatives)
    imports.add_argument("--negatives-per-positive", type=int, metavar="N", help="of sampled negatives (default: 1)")
    imports.add_argument("--history", type=int, metavar="N", dest="history_length", help="most recent clicks that are kept (default: 50)")
    imports.add_argument("--seed", type=int, metavar="N", help="of sampled negatives and users (default: 0)")
    broken = "drop and count broken lines; without it the first one ends the import"
    imports.add_argument("--skip-broken", action="store_true", default=None, help=broken)
    add_json(imports, "the manifest")
    imports.set_defaults(call=_import)


def _synth(args: argparse.Namespace) -> int:
    from pipeline.configuration.load_config import load_config, parse_section
    from pipeline.datasets.synthetic import SyntheticConfig, generate

    given = {name: value for name in SyntheticConfig.model_fields if (value := getattr(args, name, None)) is not None}
    config = parse_section(SyntheticConfig, {**load_config(args.preset).synthetic.model_dump(), **given}, "din synth")
    _print_manifest(generate(config, args.out, item_features=args.item_features, command=command_line()), args)
    return 0


def _import(args: argparse.Namespace) -> int:
    from pipeline.configuration.load_config import parse_section
    from pipeline.datasets.importing.import_settings import ImportSettings
    from pipeline.datasets.importing.import_source import import_source
    from pipeline.datasets.sources.by_name import find_mapping, open_source
    from pipeline.terminal import Progress, heed_sigterm

    given = {name: value for name in ImportSettings.model_fields if (value := getattr(args, name)) is not None}
    settings = parse_section(ImportSettings, given, "din import")
    source = open_source(args.name, args.source, find_mapping(args.mapping) if args.mapping else None, args.metadata)
    from rich.console import Console

    heed_sigterm()
    progress = Progress(Console(quiet=args.json, markup=False))
    try:
        manifest = import_source(source, args.out, settings, command_line(), progress)
    finally:
        progress.stop()
    if not args.json:
        from pipeline.datasets.importing.import_report import lines

        print("\n".join(lines(manifest)))
    _print_manifest(manifest, args)
    return 0


def _print_manifest(manifest: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(manifest))
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in manifest["examples"].items())
    print(f"{args.out}: {counts} impressions")
    if "oracle" in manifest:
        from pipeline.run.summary_tables import number

        print("oracle on eval: " + ", ".join(f"{name} {number(value)}" for name, value in manifest["oracle"].items()))
