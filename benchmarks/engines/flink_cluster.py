"""A Flink of deploy/clusters/flink.sh for a fault test: it can be killed in parts, asked for its jobs, and has workers that obey orders."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from benchmarks.engines.bundle_killer import Orders

_SCRIPT = Path(__file__).parents[2] / "deploy/clusters/flink.sh"
_ENDED = {"FINISHED", "CANCELED", "FAILED"}
_REST = 3  # this port after the first one is Flink's REST API
_PAUSE = 0.2  # seconds


class FlinkCluster:
    """A cluster of its own.

    Args:
        folder: Its process ids, logs and temporary files.
        port: The first of its six ports.

    Attributes:
        orders: What its workers are told.
    """

    def __init__(self, folder: Path, port: int):
        self._folder = folder.absolute()
        self.orders = Orders(self._folder / "orders")
        self._rest = f"http://127.0.0.1:{port + _REST}"
        self._environment = {
            **os.environ,
            **self.orders.hook(),
            "DIN_CLUSTER_DIR": str(self._folder),
            "DIN_CLUSTER_PORT": str(port),
        }

    def start(self) -> list[str]:
        """Starts what does not run. Returns the options of `din run` for this cluster."""
        done = subprocess.run([_SCRIPT, "start"], env=self._environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout.split()

    def stop(self) -> None:
        """Stops everything."""
        subprocess.run([_SCRIPT, "stop"], env=self._environment, check=True)

    def kill(self, name: str) -> None:
        """Ends a process of the cluster with SIGKILL."""
        os.kill(int((self._folder / "pids" / name).read_text().split()[0]), signal.SIGKILL)

    def unfinished_jobs(self) -> list[str]:
        """Returns the ids of the jobs that have not ended."""
        with urllib.request.urlopen(f"{self._rest}/jobs", timeout=10) as answer:
            return [job["id"] for job in json.load(answer)["jobs"] if job["status"] not in _ENDED]

    def left_jobs(self, patience: float) -> list[str]:
        """Waits some seconds until no job goes on. Returns the ids of those that still do."""
        deadline = time.monotonic() + patience
        while (jobs := self.unfinished_jobs()) and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        return jobs
