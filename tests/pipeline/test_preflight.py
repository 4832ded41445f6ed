"""Every kind of bad data ends in one sentence that says what, where and what to do."""

import gzip

import pytest

from din_trainer.features import FeatureConfig
from pipeline.datasets.layout import DatasetWriter
from pipeline.errors import InputError
from pipeline.preflight import check_data, check_workspace
from tests.impressions import make_impressions, write_dataset

FEATURES = FeatureConfig()


@pytest.fixture
def data(tmp_path):
    return write_dataset(tmp_path / "data")


def refused(data, features=FEATURES):
    with pytest.raises(InputError) as error:
        check_data(data, features)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_sound_data_is_counted(data):
    facts = check_data(data, FEATURES)
    assert facts.examples == {"train": 4, "validation": 4, "eval": 4}
    assert facts.columns == dict.fromkeys(make_impressions(), "int64")


def test_histories_may_be_empty_or_longer_than_the_model_keeps(tmp_path):
    long = make_impressions(
        historical_item_ids=[[1] * 500, [], [], []],
        historical_category_ids=[[1] * 500, [], [], []],
        historical_timestamps=[[1] * 500, [], [], []],
    )
    assert check_data(write_dataset(tmp_path / "d", {"train": long}), FEATURES).examples["train"] == 4


def test_missing_folder(tmp_path):
    assert "nowhere is not a folder: give --data" in refused(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    assert f"{tmp_path / 'train'} holds no *.tfrecord.gz files" in refused(tmp_path)


def test_missing_split(data):
    (data / "validation" / "part-00000.tfrecord.gz").unlink()
    assert f"{data / 'validation'} holds no *.tfrecord.gz files" in refused(data)


def test_not_tfrecords(data):
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(gzip.compress(b"user_id,item_id\n1,2\n"))
    assert refused(data).startswith(f"{file} is not a TFRecord file")


def test_not_gzip(data):
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(b"user_id,item_id\n1,2\n")
    assert refused(data).startswith(f"{file} is not a whole gzip file")


@pytest.mark.parametrize("keep", [10, 60, -4])
def test_truncated_gzip(data, keep):
    file = data / "eval" / "part-00000.tfrecord.gz"
    file.write_bytes(file.read_bytes()[:keep])
    assert refused(data).startswith(f"{file} ")


def test_a_flipped_bit(data):
    file = data / "eval" / "part-00000.tfrecord.gz"
    plain = bytearray(gzip.decompress(file.read_bytes()))
    plain[40] ^= 1
    file.write_bytes(gzip.compress(bytes(plain)))
    assert "is truncated or damaged in record 1" in refused(data)


def test_records_that_are_no_examples(data):
    from pipeline.datasets.tfrecord import _frame

    (data / "train" / "part-00000.tfrecord.gz").write_bytes(gzip.compress(_frame(b"\xff\xff\xff")))
    assert "holds records that are not consistent tf.Examples" in refused(data)


BAD_ROWS = {
    "the label must be 0 or 1": {"label": [0, 1, 2, 0]},
    "feature 'user_id' holds a negative id": {"user_id": [0, 1, -1, 3]},
    "feature 'historical_item_ids' holds a negative id": {"historical_item_ids": [[3], [], [9, -7, 3], [5, 5]]},
    "feature 'candidate_item_id' must have exactly one value": {"candidate_item_id": [[5], [3], [], [9]]},
    "holds an event after the impression": {"historical_timestamps": [[10], [], [1, 2, 41], [4, 5]]},
    "'historical_category_ids' and 'historical_item_ids' differ in length": {"historical_category_ids": [[0], [], [2, 0], [1, 1]]},
    "'historical_timestamps' and 'historical_item_ids' differ in length": {"historical_timestamps": [[1], [], [], [1, 1]]},
}


@pytest.mark.parametrize("message", BAD_ROWS)
def test_a_bad_impression_is_named(tmp_path, message):
    data = write_dataset(tmp_path / "d", {"validation": make_impressions(**BAD_ROWS[message])})
    text = refused(data)
    assert message in text
    assert text.startswith(f"{data / 'validation' / 'part-00000.tfrecord.gz'}, impression 3: ")


def test_a_missing_feature(tmp_path):
    data = write_dataset(tmp_path / "d", {"eval": make_impressions(candidate_category_id=None)})
    assert "eval/part-00000.tfrecord.gz has no feature 'candidate_category_id' (int64)" in refused(data)


@pytest.mark.parametrize("name", ["historical_item_ids", "historical_category_ids"])
def test_a_history_that_is_nowhere(tmp_path, name):
    gone = {"historical_item_ids": None, "historical_category_ids": None, "historical_timestamps": None}
    kept = {} if name == "historical_item_ids" else {"historical_item_ids": [[], [], [], []]}
    data = write_dataset(tmp_path / "d", dict.fromkeys(("train", "validation", "eval"), make_impressions(**gone | kept)))
    assert "no impression has a value of feature 'historical_" in refused(data)


def test_a_declared_feature_that_is_nowhere(data):
    features = FeatureConfig.model_validate({"context": {"hour": {}}})
    assert "no impression has a value of feature 'hour'" in refused(data, features)


def test_mistyped_times(tmp_path):
    data = write_dataset(tmp_path / "d", {"train": make_impressions(timestamp=[b"a", b"b", b"c", b"d"])})
    assert "feature 'timestamp' is bytes, but int64 is declared" in refused(data)


def test_a_folder_in_the_place_of_a_file(data):
    (data / "train" / "x.tfrecord.gz").mkdir()
    assert "x.tfrecord.gz cannot be read (Is a directory)" in refused(data)


def test_a_path_that_is_a_pattern(tmp_path):
    assert "TFX cannot work below a path with *, ? or [ in it" in refused(tmp_path / "b [1]")


def test_a_mistyped_feature(tmp_path):
    data = write_dataset(tmp_path / "d", {"train": make_impressions(user_id=[b"a", b"b", b"c", b"d"])})
    assert "feature 'user_id' is bytes, but int64 is declared" in refused(data)


def test_one_class_only(tmp_path):
    data = write_dataset(tmp_path / "d", {"eval": make_impressions(label=[1, 1, 1, 1])})
    assert refused(data).startswith(f"{data / 'eval'}: every label is 1")


def test_a_split_without_impressions(tmp_path):
    with DatasetWriter(tmp_path / "d"):
        pass
    (tmp_path / "d/train/part-00000.tfrecord.gz").write_bytes(gzip.compress(b""))
    assert "train holds no impressions" in refused(tmp_path / "d")


def test_numbers_may_be_negative_and_optional_ones_missing(tmp_path):
    features = FeatureConfig.model_validate({"context": {"temperature": {"kind": "numeric"}, "page": {"dtype": "bytes"}}})
    columns = make_impressions(temperature=[-5, None, 3, 20], page=[b"home", b"home", None, None])
    facts = check_data(write_dataset(tmp_path / "d", dict.fromkeys(("train", "validation", "eval"), columns)), features)
    assert facts.columns["temperature"] == "int64" and facts.columns["page"] == "bytes"


def test_an_unwritable_workspace(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made a workspace"):
        check_workspace(tmp_path / "file" / "workspace")
