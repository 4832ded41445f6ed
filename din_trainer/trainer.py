"""The entry point of TFX Trainer: connects training and export, without logic."""

import hashlib
import json
import math
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from din_trainer.config import CHECKPOINTS_KEY, CONFIG_KEY, ORIGIN_FILE, SOURCE_KEY, START_KEY, DINConfig
from din_trainer.export.signatures import export
from din_trainer.keras_pins import saved_by_disk
from din_trainer.training.checkpoints import only_folder
from din_trainer.training.fit import fit
from din_trainer.training.warm_start.warm_start import StartModel
from din_trainer.tuning.search_space import with_values

WARM_START_FILE = "warm_start.json"  # in the model run: what a warm start took over, as `Summary.warm_start` has it
KERAS_FILE = "din.keras"  # in the model run, beside the logs of TensorBoard


def run_fn(fn_args: FnArgs) -> None:
    """Trains on `fn_args.train_files`, selects on `fn_args.eval_files` (the validation split), exports to `fn_args.serving_model_dir`.

    `fn_args.hyperparameters`, which a Tuner found, replace values of the configuration.
    """
    config, found = DINConfig.model_validate_json(fn_args.custom_config[CONFIG_KEY]), fn_args.hyperparameters
    if found:
        config = with_values(config, found["values"])
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    train_files, validation_files = (sorted(tf.io.gfile.glob(patterns)) for patterns in (fn_args.train_files, fn_args.eval_files))
    made_from = [fn_args.custom_config, found, fn_args.transform_output, train_files]
    fingerprint = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode())
    checkpoints = only_folder(Path(fn_args.custom_config[CHECKPOINTS_KEY]), fingerprint.hexdigest()[:16])

    run_dir = Path(fn_args.model_run_dir)
    start = fn_args.custom_config.get(START_KEY)
    start_model = StartModel(Path(start["model_file"]), Path(start["transform_graph"])) if start else None
    model, _, warm_start = fit(config, transform_output, train_files, validation_files, run_dir, checkpoints, start_model)
    if start:
        (run_dir / WARM_START_FILE).write_text(json.dumps({"from": start["run"], **(warm_start or {})}) + "\n")
    with saved_by_disk():
        model.save(run_dir / KERAS_FILE)
    export(model, transform_output, fn_args.serving_model_dir)
    origin = Path(fn_args.serving_model_dir) / ORIGIN_FILE
    origin.parent.mkdir(exist_ok=True)
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    made_by = {"config": config.model_dump(mode="json"), "source": fn_args.custom_config[SOURCE_KEY], "parameters": parameters}
    origin.write_text(json.dumps(made_by) + "\n")
