"""`din bench`: the command line finds it by the entry point `din.commands` in pyproject.toml."""

import argparse
from pathlib import Path

from components.base.errors import InputError
from pipeline.cli.arguments import Commands, add_json, add_settings, command_line


def add_commands(commands: Commands) -> None:
    bench = commands.add_parser("bench", help="measure; prints a table")
    benchmarks = bench.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)
    _add_quality(benchmarks.add_parser("quality", help="DIN, its variants and the paper's base models on the same data"))
    for name, meaning, call in (
        ("train", "training and inference speed beside DeepCTR, DeepCTR-Torch and torch-rechub", _train),
        ("evaluation", "what the evaluation costs, in a run of the demo and beside the ways that it replaces", _evaluation),
        ("serve", "what a request costs beside plain Keras, DeepCTR and ONNX Runtime", _serve),
    ):
        benchmark = benchmarks.add_parser(name, help=meaning)
        add_json(benchmark, "the measurements as one JSON object")
        benchmark.set_defaults(call=call)


def _add_quality(quality: argparse.ArgumentParser) -> None:
    suite = "several data sets, with DeepCTR's DIN beside ours; a suite that was cut off goes on where it stopped"
    quality.add_argument("--suite", metavar="NAME|FILE", help=suite)
    quality.add_argument("--sources", type=Path, metavar="DIR", help="with a suite: the folder of its sources")
    quality.add_argument("--out", type=Path, metavar="DIR", help="with a suite (default: workspace/quality/NAME)")
    quality.add_argument("--config", metavar="FILE|NAME", help="without a suite (default: demo)")
    add_settings(quality)
    quality.add_argument("--data", type=Path, metavar="DIR", help="without a suite (default: the configuration's synthetic data)")
    quality.add_argument("--seeds", type=int, metavar="N", help="trainings of each model (default: the suite's, or 3)")
    quality.add_argument("--models", metavar="NAME,NAME…", help="e.g. base,din (default: all)")
    add_json(quality, "the measurements as one JSON object")
    quality.set_defaults(call=_quality)


def _quality(args: argparse.Namespace) -> int:
    from din_trainer.training.threads import share_cores

    refused = ("config", "data") if args.suite else ("sources", "out")
    for name in refused:
        if getattr(args, name) is not None:
            raise InputError(f"--{name} does not go {'with' if args.suite else 'without'} --suite: leave one out.")
    share_cores()
    if args.suite:
        from benchmarks.suite import suite_run

        return suite_run.main(
            args.suite, args.sources, args.out, args.settings, args.seeds, args.models, as_json=args.json, command=command_line()
        )
    from benchmarks.quality import model_table

    seeds = 3 if args.seeds is None else args.seeds
    return model_table.main(args.config or "demo", args.settings, args.data, seeds, args.models, args.json)


def _train(args: argparse.Namespace) -> int:
    from benchmarks.speed import training_speed

    return training_speed.main(args.json)


def _evaluation(args: argparse.Namespace) -> int:
    from benchmarks.speed import evaluation_cost
    from din_trainer.training.threads import share_cores

    share_cores()
    return evaluation_cost.main(args.json)


def _serve(args: argparse.Namespace) -> int:
    from benchmarks.speed import serving_speed

    return serving_speed.main(args.json)
