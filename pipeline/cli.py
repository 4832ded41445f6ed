"""The `din` command: parsing and printing. Heavy imports wait until a command needs them."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, explain_place
from pipeline.files import write_whole
from pipeline.serving.models_config import POLL_SECONDS
from pipeline.terminal import heed_sigterm, output_to

DEFAULT_WORKSPACE = Path("workspace")
EXIT_STATUS = """exit status:
  0  done (run: pushed, or these very weights are already served)
  1  anything else
  2  bad configuration or data
  3  refused by a gate after training
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="din",
        description="Trains a Deep Interest Network with TFX and ships it to TF Serving.",
        epilog=EXIT_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="run the whole pipeline; makes synthetic data first when none is given")
    run.add_argument("--config", metavar="FILE|NAME", help="a shipped configuration (demo, notebook, movielens, …) or a TOML file")
    run.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="settings", help="e.g. training.epochs=3")
    run.add_argument("--data", type=Path, metavar="DIR", help="train/, validation/ and eval/ with *.tfrecord.gz")
    run.add_argument("--workspace", type=Path, metavar="DIR", default=DEFAULT_WORKSPACE)
    run.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    run.set_defaults(call=_run)

    synth = commands.add_parser("synth", help="write synthetic impressions with a known ceiling")
    synth.add_argument("--preset", choices=("notebook", "demo"), default="notebook", help="sizes to start from (default: notebook)")
    for name, meaning in (
        ("examples", "impressions"),
        ("users", ""),
        ("items", ""),
        ("categories", ""),
        ("history", "most recent clicks kept"),
        ("seed", ""),
    ):
        synth.add_argument(f"--{name}", type=int, metavar="N", help=meaning or None)
    synth.add_argument("--labels", choices=("interest", "random"), help="random: coin flips, from which nothing can be learnt")
    synth.add_argument("--item-features", type=Path, metavar="FILE.npz", help="also write the items' latent vectors, keyed by id")
    synth.add_argument("--out", type=Path, required=True, metavar="DIR")
    synth.add_argument("--json", action="store_true", help="print the manifest")
    synth.set_defaults(call=_synth)

    _add_import(commands.add_parser("import", help="bring real data into the same layout"))

    predict = commands.add_parser("predict", help="score a JSONL file, or a folder of TFRecords, with an exported or a served model")
    scorer = predict.add_mutually_exclusive_group(required=True)
    scorer.add_argument("--model", type=Path, metavar="DIR", help="a version folder, e.g. workspace/serving/demo/<version>")
    scorer.add_argument("--url", help="a served model, e.g. http://127.0.0.1:8501/v1/models/demo or grpc://127.0.0.1:8500/demo")
    predict.add_argument("input", type=Path, metavar="FILE.jsonl|DIR")
    predict.add_argument("--out", type=Path, metavar="FILE.jsonl", help="where the scores of a folder go (needed for a folder)")
    predict.set_defaults(call=_predict)

    bench = commands.add_parser("bench", help="measure; prints a table")
    suites = bench.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)
    quality = suites.add_parser("quality", help="DIN, its variants and the paper's base models on the same data")
    quality.add_argument(
        "--suite", metavar="NAME|FILE", help="several data sets, and DeepCTR's DIN beside ours; goes on where it was cut off"
    )
    quality.add_argument("--sources", type=Path, metavar="DIR", help="of a suite: the folder of its sources")
    quality.add_argument("--out", type=Path, metavar="DIR", help="of a suite (default: workspace/quality/NAME)")
    quality.add_argument("--config", metavar="FILE|NAME", help="without a suite (default: demo)")
    quality.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="settings")
    quality.add_argument("--data", type=Path, metavar="DIR", help="without a suite (default: the configuration's synthetic data)")
    quality.add_argument("--seeds", type=int, metavar="N", help="trainings a model (default: the suite's, or 3)")
    quality.add_argument("--models", metavar="NAME,NAME…", help="e.g. base,din (default: all)")
    quality.add_argument("--json", action="store_true", help="print the measurements as one JSON object")
    quality.set_defaults(call=_bench_quality)
    speed = suites.add_parser("train", help="training and inference speed beside DeepCTR, DeepCTR-Torch and torch-rechub")
    speed.add_argument("--json", action="store_true", help="print the measurements as one JSON object")
    speed.set_defaults(call=_bench_train)
    evaluation = suites.add_parser("evaluation", help="what evaluating costs, in a run of the demo and beside the ways that it replaces")
    evaluation.add_argument("--json", action="store_true", help="print the measurements as one JSON object")
    evaluation.set_defaults(call=_bench_evaluation)
    requests = suites.add_parser("serve", help="what a request costs beside plain Keras, DeepCTR and ONNX Runtime")
    requests.add_argument("--json", action="store_true", help="print the measurements as one JSON object")
    requests.set_defaults(call=_bench_serve)

    report = commands.add_parser("report", help="make one HTML file of a run, to open offline in any browser")
    report.add_argument("--workspace", type=Path, metavar="DIR", default=DEFAULT_WORKSPACE)
    which = report.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="a run of din runs (default: the last one that was evaluated)")
    which.add_argument("--compare", nargs=2, metavar="ID", help="two runs side by side, the differences of their configuration included")
    form = report.add_mutually_exclusive_group()
    form.add_argument("--out", type=Path, metavar="FILE.html", help="default: beside the run's summary")
    form.add_argument("--json", action="store_true", help="print the content as one JSON object instead")
    report.set_defaults(call=_report)

    serve = commands.add_parser("serve", help="serve the pushed models: TF Serving, or a development stand-in where there is none")
    serve.add_argument("--workspace", type=Path, metavar="DIR", default=DEFAULT_WORKSPACE)
    serve.add_argument("--name", help="whose versions (default: the only name in the workspace)")
    serve.add_argument("--rest-port", type=int, metavar="N", default=8501, help="0: any free one (default: 8501)")
    serve.add_argument("--grpc-port", type=int, metavar="N", default=8500, help="0: any free one (default: 8500)")
    serve.add_argument("--stand-in", action="store_true", help="the stand-in, even if there is a TF Serving")
    serve.set_defaults(call=_serve)

    back = commands.add_parser("rollback", help="have TF Serving serve an earlier version again")
    back.add_argument("--workspace", type=Path, metavar="DIR", default=DEFAULT_WORKSPACE)
    back.add_argument("--name", help="whose versions (default: the only name in the workspace)")
    back.add_argument("--to", type=int, metavar="VERSION", help="default: the newest before the stable one that was not rolled back")
    seconds = "how often TF Serving reads models.config (default: 5), to have it load the version first; 0: nothing reads it"
    back.add_argument("--poll-seconds", type=float, metavar="N", default=POLL_SECONDS, help=seconds)
    back.add_argument("--json", action="store_true", help="print what is served as one JSON object")
    back.set_defaults(call=_rollback)

    promote = commands.add_parser("promote", help="make the canary the stable version")
    promote.add_argument("--workspace", type=Path, metavar="DIR", default=DEFAULT_WORKSPACE)
    promote.add_argument("--name", help="whose versions (default: the only name in the workspace)")
    promote.set_defaults(call=_promote)

    runs = commands.add_parser("runs", help="list what was run, evaluated and pushed")
    runs.add_argument("--workspace", type=Path, metavar="DIR", default=DEFAULT_WORKSPACE)
    runs.add_argument("--json", action="store_true", help="print a JSON array of the summaries")
    runs.set_defaults(call=_runs)
    return parser


def _add_import(imports: argparse.ArgumentParser) -> None:
    from pipeline.datasets.sources.by_name import SOURCES

    imports.add_argument("name", choices=SOURCES)
    imports.add_argument("source", type=Path, metavar="SOURCE", help="its file or folder")
    imports.add_argument("--out", type=Path, required=True, metavar="DIR")
    imports.add_argument("--mapping", metavar="FILE|NAME", help="TOML: which column of a click log is what")
    imports.add_argument(
        "--metadata", type=Path, metavar="FILE", help="what is known of the items (amazon, sequences; default: beside SOURCE)"
    )
    splits = "a user's last impressions or items, a cut in time, users, or as the source is split"
    imports.add_argument("--split", choices=("last", "last-items", "time", "user", "given"), help=splits)
    imports.add_argument("--eval-share", type=float, metavar="N", help="of last, time and user (default: 0.2)")
    imports.add_argument("--validation-share", type=float, metavar="N", help="of last, time, user and given (default: 0.1)")
    imports.add_argument("--last", type=int, metavar="N", help="items a user of last-items in eval, and in validation (default: 1)")
    imports.add_argument("--negatives", choices=("observed", "uniform", "popularity"), help="default: observed where there are any")
    imports.add_argument("--negatives-per-positive", type=int, metavar="N", help="of sampled ones (default: 1)")
    imports.add_argument("--history", type=int, metavar="N", dest="history_length", help="most recent clicks kept (default: 50)")
    imports.add_argument("--seed", type=int, metavar="N", help="of sampled negatives and users (default: 0)")
    imports.add_argument(
        "--skip-broken", action="store_true", default=None, help="drop and count broken lines, in place of ending at the first"
    )
    imports.add_argument("--json", action="store_true", help="print the manifest")
    imports.set_defaults(call=_import)


def _run(args: argparse.Namespace) -> int:
    from rich.console import Console

    from din_trainer.threads import share_cores
    from pipeline.config import load_config
    from pipeline.run import LOG_FILE, Run, run_folder
    from pipeline.summary import TOLD_ON_STDERR, print_summary
    from pipeline.terminal import Progress

    config = load_config(args.config, args.settings)
    share_cores()
    heed_sigterm()
    with run_folder(args.workspace, config.name) as folder, output_to(folder / LOG_FILE) as terminal:
        console = Console(file=terminal, quiet=args.json, markup=False)
        console.print(f"Run {folder.name}", highlight=False)
        summary = Run(config, args.data, folder, Progress(console)).execute()
        if args.json:
            print(summary.model_dump_json(), file=terminal)
        else:
            print_summary(summary, console)
    if summary.status in TOLD_ON_STDERR or (args.json and summary.refused_because):
        print(f"din: {summary.refused_because}", file=sys.stderr)
    return summary.exit_code


def _synth(args: argparse.Namespace) -> int:
    from pipeline.config import load_config, parse_section
    from pipeline.datasets.synthetic import SyntheticConfig, generate

    given = {name: value for name in SyntheticConfig.model_fields if (value := getattr(args, name, None)) is not None}
    config = parse_section(SyntheticConfig, {**load_config(args.preset).synthetic.model_dump(), **given}, "din synth")
    _print_manifest(generate(config, args.out, item_features=args.item_features, command=_command_line()), args)
    return 0


def _import(args: argparse.Namespace) -> int:
    from pipeline.config import parse_section
    from pipeline.datasets.importing.run import import_source
    from pipeline.datasets.importing.settings import ImportSettings
    from pipeline.datasets.sources.by_name import find_mapping, open_source

    given = {name: value for name in ImportSettings.model_fields if (value := getattr(args, name)) is not None}
    settings = parse_section(ImportSettings, given, "din import")
    source = open_source(args.name, args.source, find_mapping(args.mapping) if args.mapping else None, args.metadata)
    from rich.console import Console

    from pipeline.terminal import Progress

    heed_sigterm()
    with output_to(Path(os.devnull)) as terminal:  # Beam logs what is raised, which is told in a sentence
        progress = Progress(Console(file=terminal, quiet=args.json, markup=False))
        try:
            manifest = import_source(source, args.out, settings, _command_line(), progress)
        finally:
            progress.stop()
    if not args.json:
        from pipeline.datasets.importing.report import lines

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
        from pipeline.summary import number

        print("oracle on eval: " + ", ".join(f"{name} {number(value)}" for name, value in manifest["oracle"].items()))


def _predict(args: argparse.Namespace) -> int:
    if args.input.is_dir() and args.out is None:
        raise InputError(f"{args.input} is a folder: name a file for its scores with --out.")
    if args.url and args.input.is_dir():
        raise InputError(f"{args.input} is a folder: its TFRecords are scored by a model that lies here, so name it with --model.")
    from pipeline.exported import read_features

    if args.model:
        read_features(args.model)  # before TensorFlow takes its seconds
    with output_to(Path(os.devnull)) as terminal:
        if args.input.is_dir():
            from pipeline.batch_predict import predict_folder

            print(f"{args.out}: {predict_folder(args.model, args.input, args.out):,} impressions scored", file=terminal)
            return 0
        from pipeline.predict import Scorer, ServedScorer, predict_jsonl

        scorer = ServedScorer(args.url) if args.url else Scorer(args.model)
        lines = (json.dumps(row) + "\n" for row in predict_jsonl(scorer, args.input))
        if args.out is None:
            terminal.writelines(lines)
        else:
            write_whole(args.out, lines)
    return 0


def _bench_quality(args: argparse.Namespace) -> int:
    from din_trainer.threads import share_cores

    refused = ("config", "data") if args.suite else ("sources", "out")
    for name in refused:
        if getattr(args, name) is not None:
            raise InputError(f"--{name} does not go {'with' if args.suite else 'without'} --suite: leave one out.")
    share_cores()
    if args.suite:
        from benchmarks import suite_run

        return suite_run.main(
            args.suite, args.sources, args.out, args.settings, args.seeds, args.models, as_json=args.json, command=_command_line()
        )
    from benchmarks import quality

    return quality.main(args.config or "demo", args.settings, args.data, 3 if args.seeds is None else args.seeds, args.models, args.json)


def _bench_train(args: argparse.Namespace) -> int:
    from benchmarks import train

    return train.main(args.json)


def _bench_evaluation(args: argparse.Namespace) -> int:
    from benchmarks import evaluation
    from din_trainer.threads import share_cores

    share_cores()
    return evaluation.main(args.json)


def _bench_serve(args: argparse.Namespace) -> int:
    from benchmarks import serve

    return serve.main(args.json)


def _report(args: argparse.Namespace) -> int:
    from pipeline.report.content import REPORT_FILE, latest_evaluated, read_content
    from pipeline.report.page import write_report

    if args.compare:
        return _compare(args)
    folder = args.workspace / "runs" / (args.run or latest_evaluated(args.workspace))
    content = read_content(folder, args.workspace)
    if args.json:
        print(json.dumps(content.as_json()))
        return 0
    from rich.console import Console

    from pipeline.summary import Summary, print_evaluation

    print_evaluation(Summary.model_validate(content.summary), content.evaluation, Console(markup=False))
    print(write_report(folder, args.workspace, args.out or folder / REPORT_FILE))
    return 0


def _compare(args: argparse.Namespace) -> int:
    from pipeline.report.compare import read_comparison, write_comparison

    first, second = (args.workspace / "runs" / run for run in args.compare)
    if args.json:
        print(json.dumps(read_comparison(first, second, args.workspace)))
    else:
        print(write_comparison(first, second, args.workspace, args.out or second / f"beside-{first.name}.html"))
    return 0


def _serve(args: argparse.Namespace) -> int:
    from pipeline.serving.labels import serving_folder
    from pipeline.serving.serve import LOG_FILE, serve

    folder = serving_folder(args.workspace, args.name)
    with output_to(args.workspace / LOG_FILE) as terminal:
        serve(folder, args.rest_port, args.grpc_port, args.stand_in, lambda line: print(line, file=terminal, flush=True))
    return 0


def _rollback(args: argparse.Namespace) -> int:
    from pipeline.serving.labels import rollback, serving_folder

    if not 0 <= args.poll_seconds < float("inf"):
        raise InputError(f"--poll-seconds is {args.poll_seconds}: give seconds, or 0 if nothing reads models.config.")
    folder = serving_folder(args.workspace, args.name)
    served = rollback(folder, args.to, args.poll_seconds)
    print(json.dumps({"name": folder.name, **served.labels}) if args.json else _labels_line(folder, served.labels))
    return 0


def _promote(args: argparse.Namespace) -> int:
    from pipeline.serving.labels import promote, serving_folder

    folder = serving_folder(args.workspace, args.name)
    print(_labels_line(folder, promote(folder).labels))
    return 0


def _labels_line(folder: Path, labels: dict[str, int]) -> str:
    return f"{folder}: " + ", ".join(f"{label} {version}" for label, version in sorted(labels.items(), reverse=True))


def _runs(args: argparse.Namespace) -> int:
    from pipeline.summary import read_summaries, runs_table

    summaries = read_summaries(args.workspace)
    if args.json:
        print(json.dumps([summary.model_dump(mode="json") for summary in summaries]))
    elif not summaries:
        print(f"{args.workspace} has no runs yet: start one with din run.")
    else:
        from rich.console import Console

        Console().print(runs_table(summaries))
    return 0


def _command_line() -> str:
    return " ".join(["din", *sys.argv[1:]])


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `din`; returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        return args.call(args)
    except InputError as error:
        print(f"din: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        sentence = explain_place(error)
        if sentence is None:
            raise
        print(f"din: {sentence}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("din: interrupted.", file=sys.stderr)
        return 1
