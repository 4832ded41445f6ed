"""The files for schedulers: real Airflow imports the DAG and runs its task, systemd reads the units, and din knows the commands."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.main import make_parser
from tests.conftest import ROOT

SCHEDULING = ROOT / "deploy" / "scheduling"
AIRFLOW = ("apache-airflow-task-sdk==1.3.2", "apache-airflow-core==3.3.2")
BASE_PYTHON = Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")

# Prints the settings of the DAG, and how its task ends for each exit status of din.
PROBE = """
import json, pathlib, runpy, sys
from airflow.sdk.exceptions import AirflowFailException
dags = runpy.run_path(sys.argv[1])
dag = dags["din_daily"]()
run = dag.task_dict["run"]
script = pathlib.Path("din.sh")
ends = {}
for status in range(4):
    script.write_text(f"exit {status}")
    run.python_callable.__globals__.update(FOLDER=".", COMMAND=["sh", str(script)])
    try:
        run.python_callable()
        ends[status] = "success"
    except AirflowFailException:
        ends[status] = "fail"
    except Exception:
        ends[status] = "retry"
print(json.dumps({"command": dags["COMMAND"], "tasks": sorted(dag.task_dict), "retries": run.retries, "active": dag.max_active_runs,
                  "catchup": dag.catchup, "schedule": dag.schedule, "ends": ends}))
"""


@pytest.fixture(scope="module")
def airflow_python(tmp_path_factory) -> Path:
    """The Python of an environment with Airflow, which does not fit beside TFX."""
    uv = shutil.which("uv") or next(ROOT.glob(".runtime/uv-*/bin/uv"), None)
    if uv is None:
        pytest.skip("there is no uv to make an environment for Airflow with")
    folder = tmp_path_factory.mktemp("airflow")
    python = folder / ".venv" / "bin" / "python"
    for command in (
        [uv, "venv", "--no-project", "--no-python-downloads", "--python", BASE_PYTHON, folder / ".venv"],
        [uv, "pip", "install", "--python", python, *AIRFLOW],
    ):
        made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"Airflow cannot be installed: {made.stderr.strip().splitlines()[-1]}")
    return python


def test_airflow_imports_the_dag_and_only_a_crash_is_tried_again(airflow_python, tmp_path):
    home = {"AIRFLOW_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    command = [airflow_python, "-c", PROBE, SCHEDULING / "din_airflow.py"]
    found = subprocess.run(command, cwd=tmp_path, env=home, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    dag = json.loads(found.stdout.splitlines()[-1])
    assert dag["tasks"] == ["run"]
    assert (dag["retries"], dag["active"], dag["catchup"], dag["schedule"]) == (2, 1, False, "0 4 * * *")
    assert dag["ends"] == {"0": "success", "1": "retry", "2": "fail", "3": "fail"}
    make_parser().parse_args(dag["command"][1:])


def test_systemd_reads_the_units_and_din_knows_the_command(tmp_path):
    service = (SCHEDULING / "din.service").read_text()
    command = next(line for line in service.splitlines() if line.startswith("ExecStart=")).removeprefix("ExecStart=")
    make_parser().parse_args(shlex.split(command)[1:])
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze to read the units")
    for unit in ("din.service", "din.timer"):
        (tmp_path / unit).write_text((SCHEDULING / unit).read_text().replace("/opt/din-tfx/.venv/bin/din", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "din.service", "din.timer"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert not checked.stderr


def test_the_crontab_names_a_command_of_din():
    line = (SCHEDULING / "crontab").read_text().splitlines()[-1]
    assert line.split()[:5] == ["0", "4", "*", "*", "*"]
    make_parser().parse_args(shlex.split(line.partition(".venv/bin/din ")[2].partition(" >>")[0]))
