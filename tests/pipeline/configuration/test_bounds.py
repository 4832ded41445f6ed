"""Case 17: every key of the configuration refuses absurd values, with exit status 2 and before TensorFlow is imported."""

import subprocess
import sys
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from components.base.errors import InputError
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import PipelineConfig, SliceThreshold, Threshold

NUMBERS = ("1e22", "-1e22", "inf", "-inf", "nan", "true", "[]", "{}", "-1", "123456789012345678901234567890", "lots")
TABLES = {
    "features.behaviours": "item",
    "features.user": "user_id",
    "features.context": "hour",
    "evaluation.thresholds": "log_loss",
    "drift": "user_id",
    "skew": "user_id",
}
TEXTS = {  # keys of text: values that make no sense there
    "name": ("", "Demo", "../x", "a b", "1e22", "true", '"a\\u001b"', '"a\\n"', '"' + 101 * "a" + '"'),
    "features.weight": ("a-b", "true", "1", "examples", "label"),
    "features.behaviours.item.candidate": ("", "true", "1", "a b", "examples", '"é"', '"a\\n"', '"' + 101 * "a" + '"'),
    "features.behaviours.item.history": ("", "true", "1", "a b", "examples", "self"),
    "features.behaviours.item.sequence": ("", "true", "1", '"a b"', '"a\\n"'),
    "features.behaviours.item.vocabulary": ("nope", "true", "1", "item"),
    "training.warm_start": ("", "true", "0", "-1", "1.5", "inf", "[]", "Served", "../runs/1", '"served\\n"'),
    "evaluation.baseline": ("true", "inf", "[]"),
    "serving.base_path": ("models", "true", "1", "[]", "s3://key:secret@bucket/models"),
    "notify.command": ("true", "1", "mail", "[1]", '[""]'),
    "notify.when": ("true", "1", "pushed", '["killed"]'),
    "serving.servers": (
        "true",
        "1",
        "grpc://a:8500",
        *(
            f'["{url}"]'
            for url in ("", "a:8500", "http://a:8501", "grpc://a", "grpc://a:0", "grpc://a:99999", "grpc://a:8500/demo", "grpc://a b:1")
        ),
        '["grpc://a:8500", "grpc://a:8500"]',
        "[1]",
    ),
    "metadata.url": (  # no message repeats it
        "mlmd",
        "sqlite:///tmp/m",
        "postgresql://",
        "postgresql://din@db",
        "postgresql://db/mlmd",
        "postgresql://din@/mlmd",
        "postgresql://din@db:99999/mlmd",
        "postgresql://din@db/ml-md",
        "postgresql://din@db/mlmd?sslmode=require",
        "postgresql://din@db/mlmd?host=/run",
        "mysql://din@/mlmd?host=/run",
        "mysql://d in@db/mlmd",
        "true",
        "1",
    ),
}
PATHS = (  # where a file or a program is looked for later, so that only the type is checked here
    *(f"{place}.embeddings" for place in ("features.behaviours.item", "features.user.user_id", "features.context.hour")),
    "data_schema.file",
    "requests",
    "serving.model_server",
)


def leaves(section: type[BaseModel], path: str = "") -> dict[str, Any]:
    """The annotation of each key that holds no table, by its dotted path. A table of named tables has one name."""
    found = {}
    for name, field in section.model_fields.items():
        key, annotation = f"{path}{name}", field.annotation
        if get_origin(annotation) is dict:
            annotation, key = get_args(annotation)[1], f"{key}.{TABLES[key]}"
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= leaves(annotation, f"{key}.")
        else:
            found[key] = annotation
    return found


LEAVES = leaves(PipelineConfig)


def parts_of(annotation: Any) -> set[Any]:
    """The types in an annotation such as `tuple[int, ...] | None`."""
    arguments = get_args(annotation)
    return {annotation} if get_origin(annotation) is Literal or not arguments else set().union(*map(parts_of, arguments))


def absurd(key: str) -> tuple[str, ...]:
    annotation = LEAVES[key]
    parts = parts_of(annotation)
    if get_origin(annotation) is Literal:
        return ("nope", "1", "true", "inf", "[]")
    if get_origin(annotation) is tuple and int in parts:
        return (*(f"[{number}]" for number in NUMBERS), "[0]", "8", "true", "nan")
    if parts & {int, float}:
        return NUMBERS
    if annotation is bool:
        return ("2", "-1", "inf", "nan", "perhaps", "[]")
    return TEXTS.get(key, ("true", "1", "inf", "[]") if key in PATHS else ())


CASES = [f"{key}={value}" for key in LEAVES for value in absurd(key)]
NEEDS_HOUR = ["features.context.hour.kind=numeric"]


@pytest.mark.parametrize("setting", CASES, ids=range(len(CASES)))
def test_absurd_values_are_refused_and_the_option_is_named(setting):
    with pytest.raises(InputError) as error:
        load_config(None, [*NEEDS_HOUR * setting.startswith("features.context.hour."), setting])
    message = str(error.value)
    assert f"--set {setting.split('=')[0]}=" in message
    assert "\n" not in message.replace(setting, "")


def test_every_key_has_absurd_values():
    """A new key must be added above if it is a text or a list; numbers, choices and truth values are tried by themselves."""
    tried = {case.split("=")[0] for case in CASES}
    structured = {"evaluation.slices", "evaluation.slice_thresholds"}  # their contents are tried in test_configuration.py and below
    assert LEAVES.keys() - tried == structured


@pytest.mark.parametrize("bad", [{"min_examples": value} for value in (0, -1, 1e22, True, float("nan"))] + [{"at_least": float("inf")}])
def test_slice_thresholds_have_the_same_bounds(bad):
    with pytest.raises(ValueError):
        SliceThreshold(metric="auc", slice={"user_activity": "*"}, **bad)


def test_a_threshold_that_no_model_can_reach_is_refused():
    with pytest.raises(InputError, match=r"auc must be at least 1\.5, but it is never above 1"):
        load_config(None, ["evaluation.thresholds.auc.at_least=1.5"])
    assert load_config(None, ["evaluation.thresholds.calibration.at_least=1.5"]).evaluation.thresholds["calibration"].at_least == 1.5
    with pytest.raises(ValueError, match="so that no value passes"):
        Threshold(at_least=0.7, at_most=0.6)


def test_a_feature_cannot_be_called_as_the_input_of_the_signatures():
    with pytest.raises(InputError, match="feature 'class' cannot be an input of a signature"):  # TensorFlow refuses it after the training
        load_config(None, ["features.context.class.kind=numeric"])
    with pytest.raises(InputError, match="feature 'examples' is declared twice or reserved"):
        load_config(None, ["features.context.examples.kind=numeric"])


def test_an_error_is_blamed_on_the_layer_that_made_it(tmp_path):
    """Case 26: errors of `--set` were blamed on the configuration file."""
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\n[training]\nepochs = 7\n')
    with pytest.raises(InputError, match=r"^--set training\.epochs=0: training\.epochs"):
        load_config(str(file), ["training.batch_size=8", "training.epochs=0"])
    with pytest.raises(InputError, match=r"^--set training\.schedule\.warmup_steps=5: training\.schedule: warmup_steps belong"):
        load_config(str(file), ["training.schedule.warmup_steps=5", "training.batch_size=8"])
    file.write_text('name = "mine"\n[training]\nepochs = 0\n')
    with pytest.raises(InputError, match=f"^{file}: training.epochs"):
        load_config(str(file), ["training.batch_size=8"])


def test_the_command_ends_with_2_before_tensorflow_is_imported(tmp_path):
    code = (
        "import sys; from pipeline.cli.main import main\n"
        "for setting in sys.argv[2:]:\n"
        "    assert main(['run', '--workspace', sys.argv[1], '--set', setting]) == 2, setting\n"
        "assert 'tensorflow' not in sys.modules and 'apache_beam' not in sys.modules\n"
    )
    some = ["evaluation.bootstrap.seed=-1", "model.embedding_scale=inf", "features.history_length=1e12", "model.hidden=[1e22]"]
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path / "w"), *some], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert len(result.stderr.splitlines()) == len(some)
    assert not (tmp_path / "w").exists()
