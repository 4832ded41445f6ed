"""Entry point of TFX Trainer: wiring, no logic."""

import json
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft
from tfx.components.trainer.fn_args_utils import FnArgs

from din_trainer.config import CONFIG_KEY, ORIGIN_FILE, SOURCE_KEY, DINConfig
from din_trainer.export import export
from din_trainer.input_pipeline import make_dataset
from din_trainer.preprocessing import table_size
from din_trainer.training import seed_everything, train

KERAS_FILE = "din.keras"  # in the model run, beside TensorBoard's logs


def run_fn(fn_args: FnArgs) -> None:
    """Trains on `fn_args.train_files`, selects on `fn_args.eval_files` (the validation split), exports to `fn_args.serving_model_dir`."""
    config = DINConfig.model_validate_json(fn_args.custom_config[CONFIG_KEY])
    settings = config.training
    seed_everything(settings.seed, settings.deterministic)

    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    sizes = {
        name: table_size(vocabulary, transform_output.vocabulary_size_by_name(name))
        for name, vocabulary in config.features.vocabularies.items()
    }
    spec = transform_output.transformed_feature_spec()

    def dataset(patterns: list[str], seed: int | None) -> tf.data.Dataset:
        files = sorted(tf.io.gfile.glob(patterns))
        return make_dataset(files, spec, settings.batch_size, shuffle_seed=seed, deterministic=settings.deterministic)

    run_dir = Path(fn_args.model_run_dir)
    model = train(config, sizes, dataset(fn_args.train_files, settings.seed), dataset(fn_args.eval_files, None), run_dir)
    model.save(run_dir / KERAS_FILE)
    export(model, transform_output, fn_args.serving_model_dir)
    origin = Path(fn_args.serving_model_dir) / ORIGIN_FILE
    origin.parent.mkdir(exist_ok=True)
    origin.write_text(json.dumps({"config": config.model_dump(mode="json"), "source": fn_args.custom_config[SOURCE_KEY]}) + "\n")
