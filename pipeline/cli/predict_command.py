"""`din predict`: it scores impressions, which are JSON lines or a folder of TFRecords."""

import argparse
import json
import os
import sys
from pathlib import Path

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from pipeline.cli.arguments import Commands, add_command, add_engine, add_settings, local_path, with_engine


def add_commands(commands: Commands) -> None:
    predict = add_command(commands, "predict", "score impressions with an exported or a served model")
    scorer = predict.add_mutually_exclusive_group(required=True)
    scorer.add_argument(
        "--model", type=Path, metavar="DIR", help="an exported model: the folder of a version, e.g. workspace/serving/demo/VERSION"
    )
    scorer.add_argument("--url", help="a served model, e.g. http://127.0.0.1:8501/v1/models/demo or grpc://127.0.0.1:8500/demo")
    predict.add_argument(
        "input",
        type=local_path,
        metavar="FILE.jsonl|DIR",
        help="the impressions: a file with one JSON object a line, or a folder of TFRecords",
    )
    predict.add_argument(
        "--out", type=Path, metavar="FILE.jsonl", help="the file for the scores; required for a folder (default: print them)"
    )
    add_engine(predict, "score a folder on this engine, with the settings beam.* of the configuration")
    config = "the configuration that describes the engine (default: the default of every setting)"
    predict.add_argument("--config", metavar="FILE|NAME", help=config)
    add_settings(predict)
    predict.set_defaults(call=_predict)


def _predict(args: argparse.Namespace) -> int:
    if args.input.is_dir() and args.out is None:
        raise InputError(f"{args.input} is a folder: name a file for its scores with --out.")
    if args.url and args.input.is_dir():
        raise InputError(f"{args.input} is a folder, which only a local model can score: name the model with --model.")
    if not args.input.is_dir() and (args.engine or args.config or args.settings):
        raise InputError(f"{args.input} is no folder: an engine scores folders of TFRecords, so leave out --engine, --config and --set.")
    from components.serving.model.exported_features import read_features
    from pipeline.terminal import output_to, say

    if args.model:
        read_features(args.model)  # refuses a wrong folder before TensorFlow is imported, which takes seconds
    if args.input.is_dir():
        return _predict_folder(args)
    with output_to(Path(os.devnull)) as terminal:
        from pipeline.predict.score_json import Scorer, ServedScorer, predict_jsonl

        scorer = ServedScorer(args.url) if args.url else Scorer(args.model)
        notes: list[str] = []
        lines = (json.dumps(row) for row in predict_jsonl(scorer, args.input, notes))
        if args.out is None:
            for line in lines:
                say(line, terminal)
        else:
            write_whole(args.out, (f"{line}\n" for line in lines))
    for note in notes:
        say(f"din: {note}", sys.stderr)
    return 0


def _predict_folder(args: argparse.Namespace) -> int:
    from pipeline.configuration.load_config import load_config
    from pipeline.runners.check_engine import check_engine
    from pipeline.terminal import interrupt_on_sigterm, output_to, say

    engine = load_config(args.config, with_engine(args)).beam
    for note in check_engine(engine):
        say(f"din: {note}", sys.stderr)
    interrupt_on_sigterm()  # so that a job on a cluster is cancelled
    notes: list[str] = []
    try:
        with output_to(Path(os.devnull)) as terminal:
            from pipeline.predict.score_folder import predict_folder

            count = predict_folder(args.model, args.input, args.out, notes, engine, lambda line: say(f"din: {line}", terminal))
            say(f"{args.out}: {count:,} impressions scored", terminal)
    finally:
        for note in notes:
            say(f"din: {note}", sys.stderr)
    return 0
