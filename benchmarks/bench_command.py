"""`din bench`: it runs the benchmarks. `din` finds it by the entry point `din.commands` in pyproject.toml."""

import argparse
from pathlib import Path

from components.base.errors import InputError
from pipeline.cli.arguments import Commands, add_command, add_json, add_settings, command_line

_FEWEST = 10_000  # impressions for which memory by impression can be told


def add_commands(commands: Commands) -> None:
    bench = add_command(commands, "bench", "measure quality, speed or cost, and print a table")
    benchmarks = bench.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)
    _add_quality(add_command(benchmarks, "quality", "compare DIN, its variants and the paper's base models on the same data"))
    _add_run(add_command(benchmarks, "run", "measure what a run of 1,000 impressions costs, step by step"))
    _add_data(add_command(benchmarks, "data", "measure what feeds the training, stage by stage, beside the same work written by hand"))
    _add_features(add_command(benchmarks, "features", "measure what ten further features of all kinds cost in training and in `rank`"))
    _add_faults(add_command(benchmarks, "faults", "kill commands at random moments, and look at what is left and how the next one goes on"))
    evaluation = "measure the time of the evaluation, in a run of the demo and compared with the methods that it replaces"
    _add_evaluation(add_command(benchmarks, "evaluation", evaluation))
    _add_days(add_command(benchmarks, "days", "train day by day, warm and cold, and judge each model on the next day"))
    _add_workspace(add_command(benchmarks, "workspace", "show that the bytes of a workspace are bounded, run after run"))
    _add_engines(add_command(benchmarks, "engines", "run the same pipeline locally, on Flink and on Spark, and compare results and costs"))
    for name, purpose, call in (
        ("import", "measure how fast an import is and whether its memory grows, beside the simple way of writing", _import),
        ("train", "compare the speed of training and inference with DeepCTR, DeepCTR-Torch, torch-rechub and FuxiCTR", _train),
        ("serve", "compare the latency of a request with plain Keras, DeepCTR and ONNX Runtime", _serve),
        ("plan", "compare what din plan says with whole runs: ten times larger than its rates, and with other histories", _plan),
    ):
        benchmark = add_command(benchmarks, name, purpose)
        add_json(benchmark, "the measurements as one JSON object")
        benchmark.set_defaults(call=call)


def _add_evaluation(evaluation: argparse.ArgumentParser) -> None:
    impressions = "measure CPU time and memory by impression instead, at this number of impressions"
    evaluation.add_argument("--impressions", type=int, metavar="N", help=impressions)
    add_json(evaluation, "the measurements as one JSON object")
    evaluation.set_defaults(call=_evaluation)


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument("--runs", type=int, default=5, metavar="N", help="number of runs, of which the medians are shown (default: 5)")
    run.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout of this repository, run in turn with this one")
    add_json(run, "the measurements as one JSON object")
    run.set_defaults(call=_run)


def _add_data(data: argparse.ArgumentParser) -> None:
    parts = data.add_mutually_exclusive_group()
    parts.add_argument("--quick", action="store_true", help="leave out the largest size, 10 million training impressions")
    parts.add_argument("--rates", action="store_true", help="measure only the rates of this machine, which din plan needs")
    add_json(data, "the measurements as one JSON object")
    data.set_defaults(call=_data)


def _add_features(features: argparse.ArgumentParser) -> None:
    features.add_argument("--quick", action="store_true", help="do a quarter of the work in each round")
    add_json(features, "the measurements as one JSON object")
    features.set_defaults(call=_features)


def _features(args: argparse.Namespace) -> int:
    from benchmarks.speed import features_cost
    from din_trainer.training.threads import share_cores

    share_cores()
    return features_cost.main(args.quick, args.json)


def _add_days(days: argparse.ArgumentParser) -> None:
    days.add_argument("--days", type=int, default=10, metavar="N", help="how many synthetic days (default: 10)")
    days.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the data and of the trainings (default: 0)")
    add_json(days, "the measurements as one JSON object")
    days.set_defaults(call=_days)


def _days(args: argparse.Namespace) -> int:
    from benchmarks.days import day_table
    from din_trainer.training.threads import share_cores

    share_cores()
    return day_table.main(args.days, args.seed, args.json)


def _add_faults(faults: argparse.ArgumentParser) -> None:
    faults.add_argument("--kills", type=int, default=20, metavar="N", help="how many kills, with those of the log (default: 20)")
    log = "one JSON line for each command; a further call goes on from there (default: workspace/faults/kills.jsonl)"
    faults.add_argument("--log", type=Path, default=Path("workspace/faults/kills.jsonl"), metavar="FILE", help=log)
    add_json(faults, "the counts and the findings as one JSON object")
    faults.set_defaults(call=_faults)


def _faults(args: argparse.Namespace) -> int:
    from benchmarks.faults import kills

    return kills.main(args.kills, args.log, args.json)


def _add_workspace(workspace: argparse.ArgumentParser) -> None:
    runs = "how many runs of two data sets that alternate, with those of an earlier call (default: 100)"
    workspace.add_argument("--runs", type=int, default=100, metavar="N", help=runs)
    workspace.add_argument("--keep", type=int, default=20, metavar="N", help="workspace.keep_runs (default: 20)")
    out = "the folder of the runs and of their log; a further call goes on from there (default: workspace/bytes)"
    workspace.add_argument("--out", type=Path, default=Path("workspace/bytes"), metavar="DIR", help=out)
    add_json(workspace, "the measurements as one JSON object")
    workspace.set_defaults(call=_workspace)


def _workspace(args: argparse.Namespace) -> int:
    from benchmarks.workspace import workspace_bytes

    return workspace_bytes.main(args.runs, args.keep, args.out, args.json)


def _add_engines(engines: argparse.ArgumentParser) -> None:
    impressions = "the sizes of the data, e.g. 200000 2000000 (default: 200000)"
    engines.add_argument("--impressions", type=int, nargs="+", default=[200_000], metavar="N", help=impressions)
    names = "the engines, e.g. local,flink (default: local,flink,spark); a cluster of each is started and stopped"
    engines.add_argument("--engines", default="local,flink,spark", metavar="NAME,NAME…", help=names)
    add_json(engines, "the measurements as one JSON list")
    engines.set_defaults(call=_engines)


def _engines(args: argparse.Namespace) -> int:
    from benchmarks.engines import engine_table
    from din_trainer.training.threads import share_cores

    share_cores()
    return engine_table.main(args.impressions, args.engines.split(","), args.json)


def _add_quality(quality: argparse.ArgumentParser) -> None:
    suite = (
        "compare on several data sets, with DeepCTR's DIN, too: a TOML file or the name of a shipped suite; an interrupted suite goes on"
    )
    quality.add_argument("--suite", metavar="NAME|FILE", help=suite)
    quality.add_argument("--sources", type=Path, metavar="DIR", help="with --suite: the folder of the sources that it imports")
    quality.add_argument(
        "--out", type=Path, metavar="DIR", help="with --suite: the folder of its results (default: workspace/quality/NAME)"
    )
    quality.add_argument(
        "--config", metavar="FILE|NAME", help="without --suite: a TOML file, or the name of a shipped configuration (default: demo)"
    )
    add_settings(quality)
    quality.add_argument(
        "--data", type=Path, metavar="DIR", help="without --suite: a data set (default: the synthetic data of the configuration)"
    )
    quality.add_argument(
        "--seeds", type=int, metavar="N", help="number of trainings of each model, each with its own seed (default: as the suite, or 3)"
    )
    quality.add_argument("--models", metavar="NAME,NAME…", help="the models, e.g. base,din (default: all)")
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


def _import(args: argparse.Namespace) -> int:
    from benchmarks.speed import import_speed

    return import_speed.main(args.json)


def _train(args: argparse.Namespace) -> int:
    from benchmarks.speed import training_speed

    return training_speed.main(args.json)


def _evaluation(args: argparse.Namespace) -> int:
    from benchmarks.speed import evaluation_cost, evaluation_size
    from din_trainer.training.threads import share_cores

    share_cores()
    if args.impressions is not None:
        if args.impressions < _FEWEST:
            raise InputError(f"--impressions {args.impressions}: at least {_FEWEST:,} are needed to tell what one more takes.")
        return evaluation_size.main(args.impressions, args.json)
    return evaluation_cost.main(args.json)


def _serve(args: argparse.Namespace) -> int:
    from benchmarks.speed import serving_speed

    return serving_speed.main(args.json)


def _plan(args: argparse.Namespace) -> int:
    from benchmarks.plan import plan_check

    return plan_check.main(args.json)


def _data(args: argparse.Namespace) -> int:
    from benchmarks.speed import data_path

    return data_path.main(args.quick, args.rates, args.json)


def _run(args: argparse.Namespace) -> int:
    from benchmarks.speed import run_cost

    return run_cost.main(args.runs, args.against, args.json)
