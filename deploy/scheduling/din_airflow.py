"""An Airflow 3 DAG that runs din every day: all days of the data that were not run yet, in their order.

Copy this file to Airflow's folder of DAGs. FOLDER is where `make setup` was called, on the machine of the worker.
"""

import subprocess
from datetime import datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

FOLDER = "/opt/din-tfx"
COMMAND = [".venv/bin/din", "run", "--config", "/etc/din/ranking.toml", "--data", "/data/impressions", "--until-current"]
ONLY_A_PERSON_CAN_HELP = {2: "bad configuration or data", 3: "a gate refused the model"}  # exit statuses of din


@dag(
    schedule="0 4 * * *",  # after the data of the day before is complete
    start_date=datetime(2026, 1, 1),
    catchup=False,  # din knows itself which days it has not run
    max_active_runs=1,  # a workspace has one run at a time
)
def din_daily():
    @task(retries=2, retry_delay=timedelta(minutes=15))
    def run() -> None:
        status = subprocess.run(COMMAND, cwd=FOLDER, check=False).returncode
        if status in ONLY_A_PERSON_CAN_HELP:
            raise AirflowFailException(
                f"din ended with exit status {status}: {ONLY_A_PERSON_CAN_HELP[status]}. The log of the task says more."
            )
        if status:
            raise RuntimeError(f"din ended with exit status {status}: the next try continues where it stopped.")

    run()


din_daily()
