"""Case 17: every key of the configuration refuses absurd values, with exit status 2 and before TensorFlow is imported."""

import subprocess
import sys
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from components.base.errors import InputError
from din_trainer.features import FeatureConfig
from din_trainer.kinds import Feature
from pipeline.configuration.load_config import load_config
from pipeline.configuration.pipeline_config import PipelineConfig, SliceThreshold, Threshold

NUMBERS = ("1e22", "-1e22", "inf", "-inf", "nan", "true", "[]", "{}", "-1", "123456789012345678901234567890", "lots")
TABLES = {
    "features.behaviours": "item",
    "features.position": "rank",
    "features.lookups": "items",
    "training.label_weights": "label",
    "evaluation.thresholds": "log_loss",
    "evaluation.label_thresholds": "purchase",
    "evaluation.label_thresholds.purchase": "log_loss",
    "beam.options": "project",
    "tuner.space": "training.learning_rate",
    "drift": "user_id",
    "skew": "user_id",
    "kubeflow.components": "Trainer",
}
FEATURES = ("features.user", "features.context", "features.candidate", "features.events")  # tables of features of any kind
# The candidate feature, or field of events, that the keys of a kind are tried on: what makes it complete.
KINDS = {
    "categorical": {},
    "tags": {},
    "numeric": {},
    "bucketized": {"buckets": "4"},
    "hashed": {"buckets": "4"},
    "vector": {"size": "4"},
    "cross": {"of": '["user_id", "candidate_item_id"]'},
    "time_gap": {},
}
TEXTS = {  # keys of text: values that make no sense there
    "name": ("", "Demo", "../x", "a b", "1e22", "true", '"a\\u001b"', '"a\\n"', '"' + 101 * "a" + '"'),
    "features.weight": ("a-b", "true", "1", "examples", "label"),
    "features.behaviours.item.candidate": ("", "true", "1", "a b", "examples", '"é"', '"a\\n"', '"' + 101 * "a" + '"'),
    "features.behaviours.item.history": ("", "true", "1", "a b", "examples", "self"),
    "features.behaviours.item.sequence": ("", "true", "1", '"a b"', '"a\\n"'),
    "features.behaviours.item.vocabulary": ("nope", "true", "1", "item"),
    "features.behaviours.item.lookup": ("nope", "true", "1"),
    "features.behaviours.item.column": ("price", "true", "1"),
    "features.labels": (
        "click",
        "[]",
        "true",
        "[1]",
        '["click", "click"]',
        '["click", "a b"]',
        '["click", "label"]',
        '["click", "user_id"]',
    ),
    "features.lookups.items.table": ("", "true", "1", "[]"),
    "features.lookups.items.key": ("", "true", "1", "[]"),
    "features.lookups.items.of": ("", "nope", "true", "1", "historical_item_ids"),
    "model.long_history.category": ("", "brand", "true", "1"),
    "training.warm_start": ("", "true", "0", "-1", "1.5", "inf", "[]", "Served", "../runs/1", '"served\\n"'),
    "evaluation.importance.slices": ("true", "1", "[1]", '["nope"]'),
    "evaluation.baseline": ("true", "inf", "[]"),
    "serving.base_path": ("models", "true", "1", "[]", "s3://key:secret@bucket/models"),
    "serving.store": ("models", "/models", "true", "1", "[]", "s3://key:secret@bucket/models", "s3://", "nope://bucket/models"),
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
    "kubeflow.image": ("true", "1", "[]", '"a b"', "-x", '"a\\n"', '"' + 600 * "a" + '"'),
    "kubeflow.components.Trainer.image": ("true", "1", "[]", '"a b"'),
    "kubeflow.volume": ("true", "1", "[]", "a_b", "/din", '"a\\n"', '"' + 300 * "a" + '"'),
    "tuner.space.training.learning_rate": (*NUMBERS, "[0]", "[nan]", "[true]", "{min = 0, max = 1}", "{min = 0.1, max = 2}", "{min = 0.1}"),
    "beam.job_server": ("localhost", "localhost:0", "localhost:99999", "http://localhost:8099", "a b:1", "true", "1", "[]", '"a:1\\n"'),
    "beam.workers": ("localhost", ":1", "localhost:x", "true", "1", "[]"),
    "beam.master": ("localhost", "spark://a:7077", "ftp://a:1", "true", "1", "[]"),  # of Flink
    "beam.options.project": ("true", "false", "{}", "inf"),
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


def place_of(kind: str) -> str:
    """The feature that the keys of a kind are tried on: one of the candidate; a field of events for the kind that only they have."""
    return f"features.{'events.clicks' if kind == 'time_gap' else 'candidate'}.a_{kind}"


for place in map(place_of, KINDS):
    TEXTS |= {
        f"{place}.lookup": ("nope", "true", "1"),
        f"{place}.column": ("price", "true", "1"),  # without a lookup
        f"{place}.weights": ("a-b", "true", "1", "user_id", "label"),
        f"{place}.lengths": ("n", "true", "1"),  # only events have them
        f"{place}.of": ("user_id", "[]", '["user_id"]', '["user_id", "user_id"]', '["user_id", "nope"]', "[1, 2]", "true"),
        f"{place}.clip": (*NUMBERS, "[1]", "[2, 1]", "[1, 1]", "[0, inf]", "[0, 1e301]", "[true, 2]", "[1, 2, 3]", '["a", "b"]'),
        f"{place}.boundaries": (*NUMBERS, "[2, 1]", "[1, 1]", "[0, inf]", "[nan]", "[true]", '["a"]'),
    }
PATHS = (  # where a file or a program is looked for later, so that only the type is checked here
    *(f"{place}.embeddings" for place in ("features.behaviours.item", *map(place_of, KINDS))),
    "data_schema.file",
    "requests",
    "serving.model_server",
    "beam.job_server_jar",
    "features.lookups.items.valid_from",
)


def leaves(section: type[BaseModel], path: str = "") -> dict[str, Any]:
    """The annotation of each key that holds no table, by its dotted path. Tables with names of the user's choice have one."""
    found = {}
    for name, field in section.model_fields.items():
        key, annotation = f"{path}{name}", field.annotation
        if key in FEATURES:
            continue
        while get_origin(annotation) is dict:
            annotation, key = get_args(annotation)[1], f"{key}.{TABLES[key]}"
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found |= leaves(annotation, f"{key}.")
        else:
            found[key] = annotation
    return found


def leaves_of_kinds() -> dict[str, Any]:
    """The keys of each kind of feature, tried on a feature of the candidate; on a field of events for the kind that only they have."""
    classes = {get_args(member)[1].tag: get_args(member)[0] for member in get_args(get_args(Feature)[0])}
    assert classes.keys() == KINDS.keys()
    found: dict[str, Any] = {}
    for kind, table in classes.items():
        found |= leaves(table, f"{place_of(kind)}.")
    return found


LEAVES = leaves(PipelineConfig) | leaves_of_kinds()


def parts_of(annotation: Any) -> set[Any]:
    """The types in an annotation such as `tuple[int, ...] | None`."""
    arguments = get_args(annotation)
    return {annotation} if get_origin(annotation) is Literal or not arguments else set().union(*map(parts_of, arguments))


def absurd(key: str) -> tuple[str, ...]:
    annotation = LEAVES[key]
    parts = parts_of(annotation)
    if key in TEXTS:
        return TEXTS[key]
    if get_origin(annotation) is Literal:
        return ("nope", "1", "true", "inf", "[]")
    if get_origin(annotation) is tuple and int in parts:
        return (*(f"[{number}]" for number in NUMBERS), "[0]", "8", "true", "nan")
    if parts & {int, float}:
        return NUMBERS
    if annotation is bool:
        return ("2", "-1", "inf", "nan", "perhaps", "[]")
    return ("true", "1", "inf", "[]") if key in PATHS else ()


CASES = [f"{key}={value}" for key in LEAVES for value in absurd(key)]
LOOKUP = {"table": "items.csv", "key": "id", "of": "candidate_item_id"}


def around(key: str) -> list[str]:
    """The settings that make the table of a key complete."""
    place, _, name = key.rpartition(".")
    if place == "features.lookups.items":
        return [f"{place}.{other}={value}" for other, value in LOOKUP.items()]
    if place.startswith("evaluation.label_thresholds."):
        return ['features.labels=["click", "purchase"]']
    if place == "model.long_history":
        return ["features.long_history_length=20", f"model.long_history.search={'hash' if name == 'bits' else 'hard'}"]
    if place == "beam":
        return ["beam.engine=flink"] if name in ("master", "job_server") else []
    kind = next((kind for kind in KINDS if place_of(kind) == place), None)
    if kind is None:
        return []
    needed = {} if name == "boundaries" else KINDS[kind]  # which stand instead of buckets
    return [f"{place}.kind={kind}", *(f"{place}.{other}={value}" for other, value in needed.items())]


@pytest.mark.parametrize("setting", CASES, ids=range(len(CASES)))
def test_absurd_values_are_refused_and_the_option_is_named(setting):
    with pytest.raises(InputError) as error:
        load_config(None, [*around(setting.split("=")[0]), setting])
    message = str(error.value)
    assert f"--set {setting.split('=')[0]}=" in message
    assert "\n" not in message.replace(setting, "")


def test_without_the_absurd_value_the_configuration_is_right():
    for key in LEAVES:
        if not key.endswith(".boundaries"):
            load_config(None, around(key))
    load_config(None, [*around("features.candidate.a_bucketized.boundaries"), "features.candidate.a_bucketized.boundaries=[1, 2.5]"])


def test_every_section_of_features_has_the_same_keys():
    sections = FeatureConfig.model_fields
    assert {get_args(sections[name].annotation)[1] for name in ("user", "context", "candidate")} == {Feature}
    assert get_args(get_args(sections["events"].annotation)[1])[1] == Feature


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
