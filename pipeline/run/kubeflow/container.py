"""What each container of a compiled pipeline calls: `python -m pipeline.run.kubeflow.container --node NAME --executor-input JSON`.

The ExecutorInput is what Kubeflow or Vertex tell a container: where its artifacts are, and the file for what it has to say about them.
"""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.base.secrets import secrets_hidden_in_logs
from components.base.stores import named_path
from din_trainer.training.card_settings import share_cards
from din_trainer.training.threads import share_cores
from pipeline.configuration.load_config import parse_section
from pipeline.configuration.pipeline_config import PipelineConfig
from pipeline.records.summary import EXIT_CODES
from pipeline.run.ending.failure import explain_failure
from pipeline.run.kubeflow.node import run_node
from pipeline.run.kubeflow.prepare import prepare, read_prepared
from pipeline.runners.kubeflow_artifacts import PREPARE, PREPARED, Json, artifacts, with_local_paths, with_uris
from pipeline.terminal import complain, interrupt_on_sigterm, say


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one container. Returns its exit status, as that of `din run`: 2 for bad input, 3 for a model that was not pushed."""
    parser = argparse.ArgumentParser(description="Runs one node of a pipeline that din compile made.")
    parser.add_argument("--node", required=True)
    parser.add_argument("--executor-input", required=True, type=json.loads)
    parser.add_argument("--run", help="the id of the run (Prepare only)")
    parser.add_argument("--config", type=json.loads, help="the configuration as JSON (Prepare only)")
    args = parser.parse_args(argv)
    share_cards()
    share_cores()
    interrupt_on_sigterm()
    with secrets_hidden_in_logs():
        try:
            return _run(args)
        except (Exception, KeyboardInterrupt) as error:
            ending = explain_failure(error)
            if not isinstance(error, InputError):
                logging.exception("the node failed")
            complain(ending.reason or "interrupted.")
            return EXIT_CODES[ending.status] if ending.exit_code is None else ending.exit_code


def _run(args: argparse.Namespace) -> int:
    here = with_local_paths(args.executor_input)
    inputs, outputs = (dict(artifacts(here.get(part, {}))) for part in ("inputs", "outputs"))
    if args.node == PREPARE:
        asked = here["inputs"]["parameterValues"]
        config = parse_section(PipelineConfig, {**args.config, "name": asked["name"]}, "the compiled configuration")
        prepare(config, named_path(asked["data"]), Path(asked["workspace"]), args.run, Path(outputs[PREPARED]["uri"]))
        return 0
    run_node(args.node, read_prepared(Path(inputs[PREPARED]["uri"])), here)
    file = Path(here["outputs"]["outputFile"])
    put_out = with_uris(json.loads(file.read_text()), args.executor_input)
    write_whole(file, [json.dumps(put_out)])
    return _pushed(inputs, put_out) if args.node == "Pusher" else 0


def _pushed(inputs: dict[str, Json], put_out: Json) -> int:
    """Says whether the model was pushed. Returns the exit status: a refused model must not look like one that is served."""
    from components.atomic_pusher import NOT_CHECKED_KEY, NOT_PUBLISHED_KEY, REFUSED_KEY
    from components.verdict import VERDICT_FILE

    ((_, pushed),) = artifacts(put_out)
    found = pushed["metadata"]
    if found.get("pushed"):
        say(f"Pushed: {found['pushed_destination']}.")
        if found.get(NOT_CHECKED_KEY):
            say(found[NOT_CHECKED_KEY])
        if found.get(NOT_PUBLISHED_KEY):
            complain(found[NOT_PUBLISHED_KEY])
            return EXIT_CODES["failed"]
        return 0
    verdict = json.loads((Path(inputs["model_blessing"]["uri"]) / VERDICT_FILE).read_text())
    complain(f"refused: {found.get(REFUSED_KEY) or verdict['refused_because']}")
    return EXIT_CODES["refused"]


if __name__ == "__main__":
    sys.exit(main())
