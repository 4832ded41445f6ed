"""`din bench quality --suite NAME`: imports what is missing, trains what is missing, and writes what comes of it."""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from benchmarks import peer_environment
from benchmarks.judging import EvalSplit, Trial, read_eval
from benchmarks.peer_quality import check_peer, train_peer, worker_settings
from benchmarks.quality import PEERS, choose_models, choose_seeds, most_regularised, open_experiment
from benchmarks.suite import Planned, Suite, SuiteData, load_suite, plan
from benchmarks.suite_data import Imported, import_once, locate
from benchmarks.suite_results import results_of_data
from benchmarks.suite_rows import Row, RowStore, TimeLeft, Trainer, train_missing
from benchmarks.suite_tables import WIDTH, print_results, to_markdown
from pipeline.errors import InputError
from pipeline.files import write_whole
from pipeline.fingerprint import LIBRARIES
from pipeline.run import LOG_FILE
from pipeline.terminal import Progress, heed_sigterm, output_to

JSON_FILE, MARKDOWN_FILE = "quality.json", "quality.md"


class NotRun(NamedTuple):
    """What could not be run, and why, with what to do."""

    what: str
    why: str


class Finished(NamedTuple):
    """A data set on which all has been trained."""

    imported: Imported
    judge: EvalSplit
    rows: dict[str, list[Row]]


def _not_run(what: str, error: InputError) -> NotRun:
    return NotRun(what, " ".join(str(error).split()))


class SuiteRun:
    """A run of a suite.

    Args:
        suite: The suite.
        planned: Its trainings by data set.
        sources: The folder of sources.
        out: Where everything goes.
        command: For the manifests.
        progress: Told of each step.
    """

    def __init__(self, suite: Suite, planned: dict[str, list[Planned]], sources: Path | None, out: Path, command: str, progress: Progress):
        self._suite, self._planned = suite, planned
        self._sources, self._out, self._command = sources, out, command
        self._progress = progress
        self._store = RowStore(out / "rows")
        self.not_run: list[NotRun] = []

    def execute(self) -> dict[str, Finished]:
        """The data sets that are there, by name, with their rows.

        Raises:
            InputError: None is there, one is refused, or a training failed.
        """
        self._drop_peers_that_are_not_there()
        if not any(self._planned.values()):
            raise InputError(f"Nothing is left to train: {' '.join(missing.why for missing in self.not_run)}")
        imported = {data.name: found for data in self._suite.data if (found := self._import(data)) is not None}
        if not imported:
            raise InputError(f"No data set of the suite {self._suite.name} is there: {' '.join(missing.why for missing in self.not_run)}")
        self._train(imported)
        return {name: Finished(found, read_eval(found.folder), self._rows(name, found)) for name, found in imported.items()}

    def _drop_peers_that_are_not_there(self) -> None:
        peers = sorted({p.model for planned in self._planned.values() for p in planned} & PEERS.keys())
        if not peers:
            return
        self._progress.start("peers")
        try:
            self._python = peer_environment.prepare(peer_environment.cache_folder())
        except InputError as error:
            self._planned = {name: [p for p in planned if p.model not in PEERS] for name, planned in self._planned.items()}
            self.not_run += [_not_run(PEERS[peer].title, error) for peer in peers]
        self._progress.finish()

    def _import(self, data: SuiteData) -> Imported | None:
        self._progress.start(f"data {data.name}")
        try:
            source = locate(data, self._sources)
        except InputError as error:
            self.not_run.append(_not_run(data.title, error))
            self._progress.detail("not run")
            self._progress.finish()
            return None
        found = import_once(data, source, self._out / "data", self._command)
        self._progress.detail(", ".join(f"{count:,} {split}" for split, count in found.manifest["examples"].items()))
        self._progress.finish()
        return found

    def _train(self, imported: dict[str, Imported]) -> None:
        """Trains what is missing, those last whose training makes all that this process does afterwards deterministic."""
        missing = {
            name: [planned for planned in self._planned[name] if self._store.read(planned, found.digest) is None]
            for name, found in imported.items()
        }
        there = [
            (p.data, p.model, row.figures["seconds"])
            for name, found in imported.items()
            for p in self._planned[name]
            if (row := self._store.read(p, found.digest)) is not None
        ]
        left = TimeLeft([p for planned in missing.values() for p in planned], there)
        for name in sorted((name for name in imported if missing[name]), key=lambda n: missing[n][0].config.training.deterministic):
            with tempfile.TemporaryDirectory(prefix="din-bench-") as folder:
                found = imported[name]
                train = self._trainer(name, found, Path(folder))
                train_missing(missing[name], found.digest, self._store, read_eval(found.folder), train, left, self._progress)

    def _trainer(self, name: str, found: Imported, workspace: Path) -> Trainer:
        """What trains the rows of a data set, which goes through the DAG for it."""
        config = most_regularised(planned.config for planned in self._planned[name])
        experiment = open_experiment(config, found.folder.absolute(), workspace, self._progress)
        arrays = workspace / "arrays.npz"

        def train(planned: Planned) -> Trial:
            if planned.model not in PEERS:
                return experiment.train(planned.config)
            if not arrays.exists():
                experiment.write_arrays(arrays)
            return train_peer(self._python, arrays, worker_settings(planned.config, experiment.vocabulary_sizes))

        return train

    def _rows(self, name: str, found: Imported) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = {}
        for planned in self._planned[name]:
            row = self._store.read(planned, found.digest)
            assert row is not None
            rows.setdefault(planned.model, []).append(row)
        return rows


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
    """Runs a suite, writes its results as JSON and Markdown, and prints them."""
    suite = load_suite(source)
    seeds = list(suite.seeds) if seed_count is None else choose_seeds(suite.seeds[0], seed_count)
    planned = plan(suite, choose_models(models, suite.models), seeds, settings)
    for training in (p for of_data in planned.values() for p in of_data if p.model in PEERS):
        check_peer(training.config)
    out = out or Path("workspace", "quality", suite.name)
    out.mkdir(parents=True, exist_ok=True)
    heed_sigterm()
    with output_to(out / LOG_FILE) as terminal:
        progress = Progress(Console(file=terminal, quiet=as_json))
        run = SuiteRun(suite, planned, sources, out, command, progress)
        try:
            done = run.execute()
            progress.start("intervals")
            data = [results_of_data(entry, settings, *done[entry.name]) for entry in suite.data if entry.name in done]
            progress.finish()
        finally:
            progress.stop()
        results: dict[str, Any] = {
            "suite": suite.name,
            "command": command,
            "seeds": seeds,
            "versions": _versions(),
            "data": data,
            "not_run": [missing._asdict() for missing in run.not_run],
        }
        write_whole(out / JSON_FILE, [json.dumps(results, indent=2) + "\n"])
        write_whole(out / MARKDOWN_FILE, [to_markdown(results)])
        if as_json:
            print(json.dumps(results), file=terminal)
        else:
            console = Console(file=terminal, width=WIDTH)
            print_results(results, console)
            console.print(f"{out / MARKDOWN_FILE}, {out / JSON_FILE}", highlight=False, soft_wrap=True)
    return 0
