"""docs/click-log.md, followed to the letter."""

import json
import os
import re
import subprocess

from tests.conftest import ROOT
from tests.e2e.conftest import DIN

BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_its_blocks_lead_from_a_log_to_scores(tmp_path):
    blocks = BLOCK.findall((ROOT / "docs" / "click-log.md").read_text(encoding="utf-8"))
    environment = {**os.environ, "PATH": f"{DIN.parent}{os.pathsep}{os.environ['PATH']}"}
    outputs = []
    for block in blocks:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", block], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        outputs.append(done.stdout)
    assert len(blocks) == 5

    manifest = json.loads((tmp_path / "data" / "clicks" / "manifest.json").read_text())
    assert sum(manifest["examples"].values()) == 400 * 40
    guessed = json.loads((tmp_path / "data" / "guessed" / "manifest.json").read_text())
    assert [guessed[key] for key in ("examples", "base_rate", "items")] == [manifest[key] for key in ("examples", "base_rate", "items")]
    assert all(0 < rate < 1 for rate in manifest["base_rate"].values())
    summary = json.loads((tmp_path / "workspace" / "latest.json").read_text())
    assert (summary["status"], summary["name"]) == ("pushed", "clicks"), summary["refused_because"]
    scores = [json.loads(line)["probability"] for line in outputs[-1].splitlines()]
    assert len(scores) == 20 and all(0 < score < 1 for score in scores)
