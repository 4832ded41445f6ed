"""docs/features.md, followed to the letter: its TOML fragments are the configuration of a run, and its JSON fragments are requests."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from din_trainer.features import FeatureConfig
from din_trainer.kinds import KINDS, MISSING, Numeric
from tests.conftest import ROOT
from tests.docs.pages import fenced_blocks
from tests.e2e.conftest import DIN

PAGE = ROOT / "docs" / "features.md"
BLOCKS = [(language, content) for _, language, content in fenced_blocks(PAGE)]
CELLS = re.findall(r"^\| (data row|predict|rank|after Transform) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
CODE = re.findall(r"^\| code.* \| `(\w+)` in `([\w/.]+)`: \S", PAGE.read_text(), re.MULTILINE)
TOML = "\n".join(content for language, content in BLOCKS if language == "toml")
FEATURES = FeatureConfig.model_validate(tomllib.loads(TOML)["features"])
OF_CANDIDATES = {column.name for column in FEATURES.columns if column.role == "candidate"}


def joined(where: str) -> dict[str, Any]:
    """All fragments of the page for one place as one object. A feature that occurs twice has the same value."""
    whole: dict[str, Any] = {}
    for cell in (cell for name, cell in CELLS if name == where and cell != "nothing"):
        fragment = json.loads(cell.strip("`"))
        assert fragment and all(whole.get(name, value) == value for name, value in fragment.items()), cell
        whole |= fragment
    return whole


class Shop(NamedTuple):
    folder: Path
    scored: list[dict[str, Any]]
    model: Any

    def ask(self, signature: str, instance: dict[str, Any]) -> dict[str, np.ndarray]:
        """What a signature answers to one instance, without the first dimension."""
        run = self.model.signatures[signature]
        inputs = run.structured_input_signature[1]
        assert instance.keys() == inputs.keys()
        tensors = {name: np.array([value], inputs[name].dtype.as_numpy_dtype) for name, value in instance.items()}
        return {name: x.numpy()[0] for name, x in run(**tensors).items()}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """The blocks of the page in their order. The TOML fragments are the configuration; the data row is scored behind the sample."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("shop")
    environment = {**os.environ, "PATH": f"{DIN.parent}{os.pathsep}{os.environ['PATH']}"}
    (folder / "shop.toml").write_text(TOML)
    first, second = (content for language, content in BLOCKS if language == "bash")
    lines = second.splitlines()
    with_row = f"echo '{json.dumps(joined('data row'))}' >> data/shop/sample.jsonl"
    for block in (first, "\n".join([lines[0], with_row, *lines[1:]])):
        command = ["bash", "-eo", "pipefail", "-c", block]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    scored = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Shop(folder, scored, tf.saved_model.load(json.loads((folder / "workspace" / "latest.json").read_text())["pushed_path"]))


def test_every_fragment_is_of_a_known_form():
    """A block or a row of a table that the other tests would pass over is noticed."""
    text = PAGE.read_text()
    assert {language for language, _ in BLOCKS} == {"bash", "toml"}
    rows = re.findall(r"^\|[^|]*\| `?[{`n]", text, re.MULTILINE)
    sections = text.count("\n| | |\n")
    assert sections == 14 and len([row for row in rows if re.match(r"\| (data|predict|rank|after|code)", row)]) == len(CELLS) + len(CODE)
    assert all(len([cell for cell in CELLS if cell[0] == where]) >= sections for where in ("data row", "predict", "rank"))


def test_the_code_that_it_names_is_there():
    assert len(CODE) >= 14
    for name, file in CODE:
        assert re.search(rf"^ *(?:def|class) {name}\b", (ROOT / file).read_text(), re.MULTILINE), f"{name} in {file}"


def test_it_has_every_kind_scale_and_role():
    definition = FEATURES.model_dump()
    places = [*FEATURES.user.values(), *FEATURES.context.values(), *FEATURES.candidate.values(), *FEATURES.events["clicks"].values()]
    assert {feature.kind for feature in places} == set(KINDS)
    assert {feature.scale for feature in places if isinstance(feature, Numeric)} == {"zscore", "log", "minmax", "quantile"}
    roles = ("behaviours", "user", "context", "candidate", "events", "position", "lookups")
    assert all(definition[role] for role in roles) and len(FEATURES.labels) > 1
    assert all(lookup.valid_from for lookup in FEATURES.lookups.values())
    assert any(getattr(feature, "indicator", False) and not feature.lookup for feature in places)


def test_its_data_row_has_what_the_data_has(shop):
    sample = [json.loads(line) for line in (shop.folder / "data" / "shop" / "sample.jsonl").read_text().splitlines()]
    row = sample.pop()
    assert row.keys() == set().union(*sample)
    lengths = {feature.lengths for feature in FEATURES.events["clicks"].values() if getattr(feature, "lengths", "")}
    columns = {column.name for column in (*FEATURES.columns, *FEATURES.kept_columns)}
    assert row.keys() == (columns | {"label"}) - lengths


def test_its_candidates_differ_in_rank_alone():
    predict, rank = joined("predict"), joined("rank")
    assert predict.keys() == rank.keys() > OF_CANDIDATES
    assert all(rank[name] == value for name, value in predict.items() if name not in OF_CANDIDATES)
    assert all(len(rank[name]) == 2 for name in OF_CANDIDATES)


def test_rank_gives_what_predict_gives_one_by_one(shop):
    rank = joined("rank")
    ranked = shop.ask("rank", rank)
    assert ranked.keys() == {"probability", "probability_purchase"}
    alone = [{name: value[i] if name in OF_CANDIDATES else value for name, value in rank.items()} for i in range(2)]
    for name, scores in ranked.items():
        assert scores.shape == (2,) and ((scores > 0) & (scores < 1)).all() and scores[0] != scores[1]
        np.testing.assert_allclose(scores, [shop.ask("predict", instance)[name] for instance in alone], atol=1e-6)


def test_the_first_candidate_is_the_data_row(shop):
    """`din predict` on the data row, `predict` on its fragments, and `rank` give the same scores."""
    scored, predicted, ranked = shop.scored[-1], shop.ask("predict", joined("predict")), shop.ask("rank", joined("rank"))
    assert len(shop.scored) == 21
    for name in ("probability", "probability_purchase"):
        assert [predicted[name], ranked[name][0]] == pytest.approx([scored[name]] * 2, abs=1e-6)


def test_each_feature_of_the_request_changes_its_score(shop):
    """None of them is read in vain: where it is missing, the score of the first candidate is another."""
    request = joined("predict")
    whole = shop.ask("predict", request)["probability"]
    for column in FEATURES.columns:
        if column.name in request:
            nothing = MISSING["float" if column.is_number else column.dtype]
            without = np.full(np.shape(request[column.name]), nothing).tolist()
            assert shop.ask("predict", {**request, column.name: without})["probability"] != whole, column.name


def test_what_it_says_of_transform_is_true(shop):
    from components.serving.model.impression_tensors import to_example

    transform = shop.model.signatures["transform_features"]
    found = transform(examples=np.array([to_example(joined("data row"), FEATURES)], object))
    shown = joined("after Transform")
    assert shown.keys() == {"age", "candidate_image"}
    for name, value in shown.items():
        np.testing.assert_array_equal(found[name].numpy()[0], value)
