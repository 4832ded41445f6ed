"""The requests of docs/serving.md, and the client of README, sent to the stand-in."""

import json
import re
import shutil
import subprocess
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.components.serving import toy
from tests.conftest import ROOT

ADDRESS = "127.0.0.1:8501"
FIRST = {"user_id": 416, "historical_item_ids": [368, 6, 376], "historical_category_ids": [1, 28, 1]}
SECOND = {"user_id": 7, "historical_item_ids": [12], "historical_category_ids": [4]}
CANDIDATES = [{"candidate_item_id": item, "candidate_category_id": category} for item, category in ((32, 28), (288, 38), (193, 19))]


@pytest.fixture(scope="module")
def answers(stand_in):
    """What the commands of the only bash block of docs/serving.md print, in order."""
    if not shutil.which("curl"):
        pytest.skip("no curl on this machine")
    (block,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
    commands = re.findall(r"^curl .*?(?=^curl |^#|\Z)", block, re.DOTALL | re.MULTILINE)
    assert all(ADDRESS in command for command in commands)
    there = ("curl ", "curl --silent --fail --noproxy '*' "), (ADDRESS, urlsplit(stand_in.rest_url).netloc)
    for old, new in there:
        commands = [command.replace(old, new, 1) for command in commands]
    return [json.loads(subprocess.run(["bash", "-c", command], capture_output=True, check=True).stdout) for command in commands]


def test_the_examples_give_the_models_scores(answers):
    by_row, ranked, by_column, status, metadata = answers
    asked = [{**FIRST, **CANDIDATES[0]}, {**SECOND, **CANDIDATES[2]}]
    np.testing.assert_allclose(by_row["predictions"], [toy.probability(row, 0.2) for row in asked], rtol=1e-6)
    for scores, bias in ((ranked["predictions"], 0.2), (by_column["outputs"], 0.1)):
        np.testing.assert_allclose(scores, [[toy.probability({**FIRST, **row}, bias) for row in CANDIDATES]], rtol=1e-6)
    assert [version["state"] for version in status["model_version_status"]] == ["AVAILABLE", "AVAILABLE"]
    assert "rank" in metadata["metadata"]["signature_def"]["signature_def"]


def test_the_readme_s_client_gives_the_models_scores(stand_in):
    (example,) = re.findall(r"```python\n(from pipeline.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert ADDRESS in example
    names = {}
    exec(compile(example.replace(ADDRESS, urlsplit(stand_in.rest_url).netloc), "README.md", "exec"), names)
    np.testing.assert_allclose(names["scores"], [[toy.probability({**FIRST, **row}, 0.2) for row in CANDIDATES[:2]]], rtol=1e-6)
