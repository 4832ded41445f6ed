"""What a manifest may say about the oracle, and what is refused in one sentence (case 18)."""

import json
import os

import pytest

from components.base.errors import DataError
from pipeline.datasets.manifest import differing_counts, read_oracle


@pytest.mark.parametrize(
    ("content", "oracle"),
    [
        ("{}", None),
        ('{"oracle": null}', None),
        ('{"source": "ours", "examples": 5, "command": "\\udcf6"}', None),  # everything else is for people
        ('{"oracle": {}}', {}),
        ('{"oracle": {"auc": 0.8}}', {"auc": 0.8}),
        ('{"oracle": {"auc": 1, "gauc": null, "log_loss": 1.5}}', {"auc": 1.0, "gauc": None, "log_loss": 1.5}),
    ],
)
def test_what_is_right_is_read(tmp_path, content, oracle):
    (tmp_path / "manifest.json").write_text(content)
    assert read_oracle(tmp_path) == oracle


def test_no_manifest_says_nothing(tmp_path):
    assert read_oracle(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"oracle": 5}', "oracle: this must be a JSON object (received 5)"),
        ('{"oracle": [0.8]}', "oracle: this must be a JSON object (received [0.8])"),
        ('{"oracle": "auc"}', "oracle: this must be a JSON object (received 'auc')"),
        ('{"oracle": true}', "oracle: this must be a JSON object (received True)"),
        ('{"oracle": {"auc": NaN}}', "oracle.auc: Input should be less than or equal to 1 (received nan)"),
        ('{"oracle": {"auc": 1.2}}', "oracle.auc: Input should be less than or equal to 1 (received 1.2)"),
        ('{"oracle": {"auc": "0.8"}}', "oracle.auc: Input should be a valid number (received '0.8')"),
        ('{"oracle": {"auc": true}}', "oracle.auc: Input should be a valid number (received True)"),
        ('{"oracle": {"auc": [0.8]}}', "oracle.auc: Input should be a valid number (received [0.8])"),
        ('{"oracle": {"log_loss": Infinity}}', "oracle.log_loss: Input should be a finite number (received inf)"),
        ('{"oracle": {"log_loss": -1}}', "oracle.log_loss: Input should be greater than or equal to 0 (received -1)"),
        ('{"oracle": {"AUC": 0.8}}', "oracle.AUC: Extra inputs are not permitted (received 0.8)"),
        ("[]", "this must be a JSON object"),
        ("5", "this must be a JSON object"),
        ("null", "this must be a JSON object"),
        ('"text"', "this must be a JSON object"),
        ("{", "cannot be read"),
        ("", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"oracle": ' + "1" * 5000 + "}", "cannot be read"),
        (b"\xff\xfe{\x00}\x00", "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, content, reason):
    file = tmp_path / "manifest.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as refused:
        read_oracle(tmp_path)
    sentence = str(refused.value)
    assert sentence.startswith(str(file)) and reason in sentence and "\n" not in sentence and "delete" in sentence


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_one_sentence(tmp_path, make):
    """A named pipe would let the run wait for ever."""
    make(tmp_path / "manifest.json")
    with pytest.raises(DataError, match=r"manifest\.json is no file"):
        read_oracle(tmp_path)


@pytest.mark.parametrize(
    ("examples", "splits"),
    [
        ({"train": 10, "eval": 4}, []),
        ({"train": 10, "eval": 5}, ["eval"]),
        ({"train": 9, "eval": 0}, ["train", "eval"]),
        ({"train": "10", "eval": True}, []),
        (14, []),
        (None, []),
    ],
)
def test_other_counts_than_those_of_the_manifest_are_said(tmp_path, examples, splits):
    """The loss of a whole shard, or of whole records at the end of one, shows nowhere else."""
    (tmp_path / "manifest.json").write_text(json.dumps({"examples": examples}))
    sentences = differing_counts(tmp_path, {"train": 10, "eval": 4})
    assert [sentence.partition(" holds ")[0] for sentence in sentences] == [str(tmp_path / split) for split in splits]
    assert all("impressions, but manifest.json says " in sentence for sentence in sentences)
