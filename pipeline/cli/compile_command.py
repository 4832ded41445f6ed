"""`din compile`: it writes the pipeline for Kubeflow or Vertex."""

import argparse
import os
from pathlib import Path

from pipeline.cli.arguments import Commands, add_command, add_settings
from pipeline.terminal import say


def add_commands(commands: Commands) -> None:
    compile_ = add_command(commands, "compile", "write the pipeline for Kubeflow Pipelines or Vertex, with a container for each node")
    compile_.add_argument("--runner", choices=["kubeflow"], required=True, help="who will run it")
    config = "as for din run; its table [kubeflow] has the image, the volume and the limits of the containers"
    compile_.add_argument("--config", metavar="FILE|NAME", help=config)
    add_settings(compile_)
    data = "the default of the parameter `data`: the impressions, as the containers see them (default: each submission gives it)"
    compile_.add_argument("--data", metavar="DIR", help=data)
    workspace = "the workspace, as the containers see it (default: /din/workspace, where kubeflow.volume is mounted)"
    compile_.add_argument("--workspace", metavar="DIR", default="/din/workspace", help=workspace)
    root = "the URI below which the artifacts are kept (default: that of the submission)"
    compile_.add_argument("--pipeline-root", metavar="URI", default="", help=root)
    compile_.add_argument("--out", type=Path, metavar="FILE", required=True, help="a file .yaml for Kubeflow, or .json for Vertex")
    compile_.set_defaults(call=_compile)


def _compile(args: argparse.Namespace) -> int:
    from pipeline.configuration.load_config import load_config
    from pipeline.run.kubeflow.compile_pipeline import Target, compile_pipeline
    from pipeline.terminal import output_to

    config = load_config(args.config, args.settings)
    with output_to(Path(os.devnull)):  # TensorFlow and TFX print warnings while they are imported
        notes = compile_pipeline(config, Target(args.data, args.workspace, args.pipeline_root), args.out)
    say(f"Wrote {args.out}.")
    for note in notes:
        say(note)
    return 0
