"""`din bench quality --suite NAME`: plans a suite, trains what is missing, and writes the results."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers import peer_environment
from benchmarks.peers.peer_training import check_peer
from benchmarks.quality.compared_models import PEERS, choose_models
from benchmarks.suite.suite_config import load_suite, plan
from benchmarks.suite.suite_results import results_of_data
from benchmarks.suite.suite_tables import WIDTH, print_results, to_markdown
from benchmarks.suite.train_missing import SuiteWork
from components.base.atomic_files import write_whole
from components.base.errors import InputError
from components.base.fingerprint import LIBRARIES
from pipeline.console import Console
from pipeline.records.run_list import LOG_FILE
from pipeline.run.checks.check_environment import check_named_files
from pipeline.terminal import Progress, interrupt_on_sigterm, output_to, say

WHOLE, PARTIAL = "quality", "quality-partial"  # the names of the result files


@contextmanager
def sole_user(out: Path) -> Iterator[None]:
    """Locks a folder, so that no second process uses it.

    Raises:
        InputError: Another process uses the folder.
    """
    with open(out / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"Another `din bench quality` uses {out}: wait until it ends, or name another folder with --out.") from error
        yield


def _versions() -> dict[str, str]:
    peers = dict(requirement.split("==") for requirement in peer_environment.REQUIREMENTS)
    return {name: version(name) for name in ("din-tfx", *LIBRARIES, "numpy")} | {"deepctr": peers["deepctr"]}


def main(
    source: str,
    sources: Path | None,
    out: Path | None,
    settings: list[str],
    seed_count: int | None,
    models: str | None,
    as_json: bool,
    command: str,
) -> int:
    """Runs a suite, writes its results as JSON and Markdown, and prints them.

    The results of a part of the suite go to files of their own, so that the results of the whole suite are kept.

    Args:
        source: The name of a shipped suite, or a TOML file.
        sources: The folder of the sources, if it was named.
        out: The folder of the results; None for the default.
        settings: key=value: settings that replace those of the suite.
        seed_count: The number of seeds; None for all.
        models: A comma-separated list of models; None for all.
        as_json: Whether to print the results as JSON.
        command: The command, for the results and the manifests.

    Returns:
        The exit status: 1 if an import was refused or a training failed, else 0.
    """
    suite = load_suite(source)
    seeds, chosen = suite.first_seeds(seed_count), choose_models(models, suite.models)
    is_partial = (seeds, chosen) != (list(suite.seeds), list(suite.models))
    planned = plan(suite, chosen, seeds, settings)
    for of_data in planned.values():
        check_named_files(of_data[0].config.features)
        for training in (p for p in of_data if p.model in PEERS):
            check_peer(training.config)
    out = out or Path("workspace", "quality", suite.name)
    out.mkdir(parents=True, exist_ok=True)
    interrupt_on_sigterm()
    with sole_user(out), output_to(out / LOG_FILE) as terminal:
        progress = Progress(Console(file=terminal, quiet=as_json))
        work = SuiteWork(suite, planned, sources, out, command, progress)
        try:
            done = work.execute()
            progress.start("intervals")
            data = [results_of_data(entry, settings, *done[entry.name]) for entry in suite.data if entry.name in done]
            progress.finish()
        finally:
            progress.stop()
        results: dict[str, Any] = {
            "suite": suite.name,
            "command": command,
            "partial": is_partial,
            "seeds": seeds,
            "versions": _versions(),
            "data": data,
            "not_run": [missing._asdict() for missing in work.not_run],
        }
        stem = PARTIAL if is_partial else WHOLE
        as_data, markdown = out / f"{stem}.json", out / f"{stem}.md"
        write_whole(as_data, [json.dumps(results, indent=2) + "\n"])
        write_whole(markdown, [to_markdown(results)])
        if as_json:
            say(json.dumps(results), terminal)
        else:
            console = Console(file=terminal, width=WIDTH)
            print_results(results, console)
            note = f" (a part of the suite: {WHOLE}.md and .json stay as they are)" if is_partial else ""
            console.print(f"{markdown}, {as_data}{note}", highlight=False, soft_wrap=True)
    return int(work.has_failed)
