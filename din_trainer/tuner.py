"""The entry point of TFX Tuner: connects the search with its data, without logic."""

import hashlib
import json
from pathlib import Path

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from din_trainer.config import CHECKPOINTS_KEY, CONFIG_KEY, DINConfig
from din_trainer.training.checkpoints import only_folder
from din_trainer.tuning.finished_trials import FinishedTrials
from din_trainer.tuning.search import Search
from din_trainer.tuning.trial import Trial
from din_trainer.tuning.tuner_config import TUNER_KEY, TunerConfig


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Makes a search whose trials learn from `fn_args.train_files`, and are judged on `fn_args.eval_files` (the validation split)."""
    custom = fn_args.custom_config
    config, settings = DINConfig.model_validate_json(custom[CONFIG_KEY]), TunerConfig.model_validate_json(custom[TUNER_KEY])
    train_files, validation_files = (sorted(tf.io.gfile.glob(patterns)) for patterns in (fn_args.train_files, fn_args.eval_files))
    data = Trial("", fn_args.transform_graph_path, train_files, validation_files)
    of_a_trial = {key: value for key, value in custom.items() if key != TUNER_KEY}  # another search can use its outcome
    fingerprint = hashlib.sha256(json.dumps([of_a_trial, data], sort_keys=True).encode())
    finished = FinishedTrials(only_folder(Path(custom[CHECKPOINTS_KEY]), fingerprint.hexdigest()[:16]))
    return TunerFnResult(Search(settings, config, data, finished, Path(fn_args.working_dir)), {})
