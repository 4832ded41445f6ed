"""A process that starts a run and kills itself at a point of it: `python -m tests.pipeline.run.killed_run WORKSPACE DATA POINT`.

The nodes of the pipeline are left out: the run has a fake one, which pushes version 7 as far as files go.
"""

import io
import os
import signal
import sys
from pathlib import Path

from components.serving.store.versions import write_pushed_by
from pipeline.configuration.load_config import load_config
from pipeline.console import Console
from pipeline.run.checks.check_impressions import DataFacts
from pipeline.run.execution import Run
from pipeline.run.run_folder import run_folder
from pipeline.terminal import Progress


class KilledRun(Run):
    """A run that comes to its end, except if it is killed."""

    point = ""

    def reach(self, point):
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)

    def _write_json(self, name, content):
        self.reach("summary")
        super()._write_json(name, content)

    def _check(self, data, plan):
        self.reach("check")
        return DataFacts({}, {}, {}, {}, {}, {})

    def _prepare(self, data, facts, plan):
        return None, None

    def _run_dag(self, places, dag, facts):
        self.reach("nodes")
        version = self._workspace / "serving" / "default" / "7"
        version.mkdir(parents=True)
        write_pushed_by(version, self.summary.run_id)
        self.reach("copied")
        self.summary.pushed_version = 7
        self.summary.end("pushed", None)
        self.summary.metrics = {"auc": 0.7}
        self.reach("pushed")

    def _score_samples(self):
        self.reach("sample")

    def _report(self):
        self.reach("report")


def main(workspace, data, point):
    KilledRun.point = point
    with run_folder(Path(workspace), "default") as folder:
        if point == "folder":
            os.kill(os.getpid(), signal.SIGKILL)
        KilledRun(load_config(), Path(data), folder, Progress(Console(file=io.StringIO()))).execute()


if __name__ == "__main__":
    main(*sys.argv[1:])
