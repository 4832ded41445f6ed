"""Data in an object store gives the same facts, fingerprints and artifacts as the same files on a disk, and is downloaded twice at most."""

from collections import Counter

import pytest
import s3fs
from tfx.components.example_gen import utils
from tfx.orchestration import data_types
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

from components.base import shards
from components.base.errors import DataError
from components.import_example_gen import Driver, Executor
from din_trainer.features import FeatureConfig
from pipeline.configuration.node_settings import example_gen_settings, span_settings
from pipeline.datasets.manifest import read_manifest
from pipeline.datasets.spans import find_spans, has_spans
from pipeline.run.checks.check_impressions import check_data, check_spans, check_unchanged
from pipeline.run.spans.span_versions import SpanVersions
from tests.object_store import copy_tree
from tests.sample_data import make_impressions, write_dataset

FEATURES = FeatureConfig()


@pytest.fixture
def local(tmp_path):
    return write_dataset(tmp_path / "data")


@pytest.fixture
def stored(local, bucket):
    return copy_tree(local, bucket / "data")


@pytest.fixture
def downloads(monkeypatch):
    """How often the content of each object was asked for."""
    found: Counter[str] = Counter()
    call = s3fs.S3FileSystem._call_s3

    async def counted(self, method, *arguments, **named):
        if method == "get_object":
            found[named.get("Key") or arguments[0]["Key"]] += 1
        return await call(self, method, *arguments, **named)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)
    return found


def import_examples(settings, place):
    """Runs the driver and the executor of ImportExampleGen. Returns the fingerprint and the copied shards."""
    given = {key: value if isinstance(value, str) else proto_utils.proto_to_json(value) for key, value in settings.items()}
    info = data_types.ComponentInfo("", "", data_types.PipelineInfo("", ""))
    resolved = Driver(None).resolve_exec_properties(given, info.pipeline_info, info)
    examples = standard_artifacts.Examples()
    examples.uri = str(place)
    Executor().Do({}, {"examples": [examples]}, resolved)
    return resolved[utils.FINGERPRINT_PROPERTY_NAME], {
        str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*.gz"))
    }


def test_the_facts_the_fingerprints_and_the_artifact_are_those_of_the_disk(local, stored, tmp_path):
    on_disk, in_store = check_data(local, FEATURES), check_data(stored, FEATURES)
    assert in_store.examples == on_disk.examples == {"train": 4, "validation": 4, "eval": 4}
    assert in_store.columns == on_disk.columns and in_store.cut == on_disk.cut
    assert in_store.fingerprints == on_disk.fingerprints
    assert list(in_store.hashes.values()) == list(on_disk.hashes.values())
    assert read_manifest(stored) == read_manifest(local)
    from_store = import_examples(example_gen_settings(stored), tmp_path / "from_store")
    assert from_store == import_examples(example_gen_settings(local), tmp_path / "from_disk")
    assert from_store[0] == in_store.fingerprint and len(from_store[1]) == 3


def test_each_shard_is_downloaded_by_the_check_and_by_the_copy_and_later_not_at_all(stored, tmp_path, downloads, monkeypatch):
    known = tmp_path / "known.json"
    facts = check_data(stored, FEATURES, known)
    assert sorted(downloads.values()) == [1, 1, 1]
    import_examples(example_gen_settings(stored), tmp_path / "examples")
    assert sorted(downloads.values()) == [2, 2, 2]
    monkeypatch.setattr(shards, "_HASHES", {})  # as in the process of the next run
    assert check_data(stored, FEATURES, known) == facts
    info = data_types.ComponentInfo("", "", data_types.PipelineInfo("", ""))
    given = {
        key: value if isinstance(value, str) else proto_utils.proto_to_json(value) for key, value in example_gen_settings(stored).items()
    }
    assert Driver(None).resolve_exec_properties(given, info.pipeline_info, info)[utils.FINGERPRINT_PROPERTY_NAME] == facts.fingerprint
    assert sorted(downloads.values()) == [2, 2, 2]


def test_a_shard_that_is_replaced_is_read_again_and_refused_after_the_check(stored, tmp_path, downloads):
    known = tmp_path / "known.json"
    facts = check_data(stored, FEATURES, known)
    check_unchanged(facts)
    (shard,) = (stored / "eval").iterdir()
    other = write_dataset(tmp_path / "other", {"eval": make_impressions(label=[1, 0, 0, 1])})
    shard.write_bytes(next((other / "eval").iterdir()).read_bytes())
    with pytest.raises(DataError, match=rf"^{shard} has changed since this run checked it: leave the data as it is during a run"):
        check_unchanged(facts)
    assert check_data(stored, FEATURES, known).fingerprint != facts.fingerprint
    assert sorted(downloads.values()) == [1, 1, 2]
    shard.unlink()
    with pytest.raises(DataError, match=rf"^{shard} is gone since this run checked it"):
        check_unchanged(facts)


def test_a_damaged_shard_is_named_by_its_place_in_the_store(stored):
    (shard,) = (stored / "train").iterdir()
    shard.write_bytes(shard.read_bytes()[:-5])
    with pytest.raises(DataError, match=rf"^{shard} is not a whole gzip file"):
        check_data(stored, FEATURES)
    shard.write_bytes(b"")
    with pytest.raises(DataError, match=rf"^{shard} is empty \(0 bytes\)"):
        check_data(stored, FEATURES)
    shard.unlink()
    with pytest.raises(DataError, match=rf"^{stored}/train holds no TFRecord files"):
        check_data(stored, FEATURES)


def test_days_in_a_store(tmp_path, bucket, downloads):
    """A span is downloaded once for the check and once for its copy; its fingerprint is known from then on."""
    data = tmp_path / "days"
    for day in ("2026-11-20", "2026-11-21"):
        (data / f"day={day}").mkdir(parents=True)
        (write_dataset(tmp_path / day) / "train").rename(data / f"day={day}" / "impressions")
    stored = copy_tree(data, bucket / "days")
    assert has_spans(stored) and not has_spans(bucket)
    spans, local = find_spans(stored), find_spans(data)
    assert [span.name for span in spans] == [span.name for span in local] == ["2026-11-20", "2026-11-21"]
    facts = check_spans(spans[:1], spans[1], FEATURES)
    assert facts.fingerprints == check_spans(local[:1], local[1], FEATURES).fingerprints
    from_store = import_examples(span_settings(stored, spans[0]), tmp_path / "from_store")
    assert from_store == import_examples(span_settings(data, local[0]), tmp_path / "from_disk")
    assert from_store[0] == facts.fingerprints["2026-11-20"]
    assert sorted(downloads.values()) == [1, 2]
    versions = SpanVersions(tmp_path / "spans.json")
    assert [versions.fingerprint(span, facts.hashes) for span in spans] == list(facts.fingerprints.values())
    versions.save()
    assert [SpanVersions(tmp_path / "spans.json").fingerprint(span) for span in spans] == list(facts.fingerprints.values())
    assert sorted(downloads.values()) == [1, 2]
