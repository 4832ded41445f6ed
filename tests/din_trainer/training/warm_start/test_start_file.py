"""A start model's file that cannot be read is one sentence, and code in it is not executed."""

from pathlib import Path

import keras
import pytest

from din_trainer.training.warm_start.warm_start import StartModel
from din_trainer.training_errors import NoStart
from tests.din_trainer.training.warm_start.starting import configure, start_from, taken_over


def test_a_file_that_is_no_model_is_one_sentence(two_days, tmp_path):
    (tmp_path / "start.keras").write_bytes(b"no zip file")
    start = StartModel(tmp_path / "start.keras", Path(two_days[0].transform_savedmodel_dir).parent)
    with pytest.raises(NoStart, match=r"start\.keras cannot be read .*training\.warm_start = 'none'") as error:
        taken_over(configure(), two_days, start)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("with_moments", [False, True])
def test_a_start_model_with_code_in_it_executes_nothing(two_days, tmp_path, with_moments):
    """A Lambda layer is Python code in a file: Keras' safe mode refuses it, with the optimizer and without."""
    trace = tmp_path / "executed"
    inputs = keras.Input((2,))
    code = eval(f"lambda x: (open({str(trace)!r}, 'w').close(), x)[1]")  # without a closure, which Keras does not read back
    hostile = keras.Model(inputs, keras.layers.Lambda(code)(inputs))
    hostile.compile("adam", "mse")
    start = start_from(hostile, two_days[0], tmp_path)
    trace.unlink()  # to build the model executes it, too
    with pytest.raises(NoStart, match=r"start\.keras cannot be read .*Lambda"):
        taken_over(configure(training={"warm_moments": with_moments}), two_days, start)
    assert not trace.exists()
    keras.models.load_model(start.model_file, safe_mode=False)
    assert trace.exists()  # without the safe mode it would have been executed
