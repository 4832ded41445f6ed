"""A worker of a training, as a process of its own: `python -m din_trainer.training.workers.worker FOLDER NUMBER`."""

import hashlib
import logging
import sys
from pathlib import Path

import numpy as np
import tensorflow_transform as tft

from din_trainer.config import DINConfig
from din_trainer.devices import take_card
from din_trainer.exchange.collectives import Workers, together
from din_trainer.exchange.mesh import Mesh, WorkerLost
from din_trainer.keras_pins import saved_by_disk
from din_trainer.training.child_process import end_with_parent
from din_trainer.training.fit import fit
from din_trainer.training.progress_log import progress
from din_trainer.training.split_tables import whole_model
from din_trainer.training.warm_start.warm_start import StartModel
from din_trainer.training.workers.job import Job, JobFolder
from din_trainer.training_errors import NoCluster


def main(folder: JobFolder, worker: int) -> None:
    """Trains as one worker of the job in a folder."""
    job = folder.read_job()
    take_card(worker - job.first)
    config, transform_output = DINConfig.model_validate_json(job.config), tft.TFTransformOutput(job.transform_output)
    if worker == job.first:
        progress.setLevel("INFO")
        progress.addHandler(folder.progress_handler())
    log_dir = Path(job.log_dir) if job.log_dir else None
    start = StartModel(*map(Path, job.start)) if job.start else None
    with together(Mesh(worker, job.addresses, job.key.encode())) as workers:
        _check_same(workers, job, config, transform_output)
        trained = fit(config, transform_output, job.train_files, job.validation_files, log_dir, Path(job.checkpoint_dir), start)
        model = whole_model(trained.model, workers, wanted=worker == job.first)
        if worker == job.first:
            with saved_by_disk():
                model.save(folder.model_file)
            folder.write_result(trained.epochs, trained.warm_start)


def _check_same(workers: Workers, job: Job, config: DINConfig, transform_output: tft.TFTransformOutput) -> None:
    """Checks that all workers train the same model on the same shards.

    Raises:
        NoCluster: They do not.
    """
    facts = hashlib.sha256(job.config.encode())
    for file in (*job.train_files, "", *job.validation_files):
        facts.update(Path(file).name.encode() + b"\n")
    for name in sorted(config.features.vocabularies):
        facts.update(Path(transform_output.vocabulary_file_by_name(name)).read_bytes())
    digests = workers.gather(np.frombuffer(facts.digest(), np.int64)).numpy()
    different = [worker for worker in range(workers.count) if (digests[worker] != digests[0]).any()]
    if different:
        raise NoCluster(f"Worker {different[0]} has another configuration, other shards or other vocabularies than worker 0.")


if __name__ == "__main__":
    end_with_parent()
    _folder, _worker = JobFolder(Path(sys.argv[1])), int(sys.argv[2])
    try:
        main(_folder, _worker)
    except Exception as error:
        if not isinstance(error, WorkerLost):
            logging.exception("worker %d of a training failed", _worker)
        _folder.write_error(_worker, error)
        sys.exit(1)
