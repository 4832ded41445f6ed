"""TFX's Tuner, which also says what each trial tried and how it ended. `din_trainer.tuner` has the search."""

import json
from pathlib import Path
from typing import Any

from tfx.components.tuner import component, executor
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import TUNER_RESULTS_KEY

from components.artifact_types import TRIALS_FILE


class Executor(executor.Executor):
    """TFX's executor. Beside the file of TFX, which has the AUC of successful trials, it writes one with all trials, in their order."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        tuner = executor.search(input_dict, exec_properties, self._get_tmp_dir(), print_tuning_summary=False)
        executor.write_best_hyperparameters(tuner, output_dict)
        trials = [{"values": values, **outcome._asdict()} for values, outcome in tuner.outcomes]
        file = Path(artifact_utils.get_single_uri(output_dict[TUNER_RESULTS_KEY])) / TRIALS_FILE
        file.write_text(json.dumps(trials) + "\n")
        tuner.finished.forget()


class Tuner(component.Tuner):
    """TFX's component."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)
