"""Every kind of bad data ends in one sentence that says what, where and what to do."""

import gzip
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.base.errors import InputError
from components.base.tfrecord import frame, read_blocks, read_records
from din_trainer.features import FeatureConfig
from pipeline.datasets.layout import DatasetWriter
from pipeline.run.checks.check_environment import check_named_files, check_workspace
from pipeline.run.checks.check_impressions import _check_shard, check_data, check_unchanged
from pipeline.run.checks.quick_batches import quick_batches
from tests.sample_data import make_impressions, write_dataset

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
    assert f"{tmp_path / 'train'} holds no TFRecord files" in refused(tmp_path)


def test_missing_split(data):
    (data / "validation" / "part-00000.tfrecord.gz").unlink()
    assert f"{data / 'validation'} holds no TFRecord files" in refused(data)


def test_not_tfrecords(data):
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(gzip.compress(b"user_id,item_id\n1,2\n"))
    assert refused(data).startswith(f"{file} is not a TFRecord file")


@pytest.mark.parametrize("name", ["part-00000.tfrecord", "part-00000.tfrecords.gz", "data_tfrecord-00000-of-00001", "part-00000"])
@pytest.mark.parametrize("gzipped", [True, False])
def test_shards_are_known_by_their_content_whatever_their_names(data, name, gzipped):
    shard = data / "train" / "part-00000.tfrecord.gz"
    content = shard.read_bytes()
    shard.unlink()
    (data / "train" / name).write_bytes(content if gzipped else gzip.decompress(content))
    for left in ("_SUCCESS", "._SUCCESS.crc", ".part-00000.crc", f"{name}.crc"):
        (data / "train" / left).touch()
    assert check_data(data, FEATURES).examples["train"] == 4


def test_an_empty_file_beside_whole_ones(data):
    file = data / "train" / "part-00001.tfrecord.gz"
    file.touch()
    assert refused(data) == f"{file} is empty (0 bytes): write or copy it again, or remove it."


def test_a_folder_among_the_shards_is_refused(data, tmp_path):
    """ExampleGen reads the files of one folder. Without this check, a part of a data set could be left out without a word."""
    (data / "train" / "2016").mkdir()
    assert refused(data).startswith(f"{data / 'train' / '2016'} is a folder, not a file: move its files into {data / 'train'}")


def test_a_split_may_be_a_link_but_not_a_folder_in_it(data, tmp_path):
    write_dataset(tmp_path / "more")
    (data / "train" / "more").symlink_to(tmp_path / "more" / "train")
    assert refused(data).startswith(f"{data / 'train' / 'more'} is a folder, not a file")
    (data / "train" / "more").unlink()
    (data / "eval").rename(tmp_path / "eval")
    (data / "eval").symlink_to(tmp_path / "eval")
    assert check_data(data, FEATURES).examples["eval"] == 4  # a split may be a link


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "is a FIFO, not a file"),
        (Path.mkdir, "is a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
        (lambda path: path.symlink_to("nowhere"), "is a link to a file that is not there"),
    ],
)
def test_what_is_no_file_is_never_read(data, make, kind):
    """Reading a FIFO without a writer would hang."""
    file = data / "train" / "part-00001.tfrecord.gz"
    make(file)
    assert refused(data).startswith(f"{file} {kind}: ")


def test_a_socket_is_no_file(data, tmp_path, monkeypatch):
    monkeypatch.chdir(data / "train")  # since the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.tfrecord.gz")
        assert "s.tfrecord.gz is a socket, not a file" in refused(data)


def test_a_record_of_an_impossible_length(data):
    from components.base.tfrecord import masked_crc

    length = (2**60).to_bytes(8, "little")
    (data / "train" / "part-00000.tfrecord.gz").write_bytes(gzip.compress(length + masked_crc(length) + b"x"))
    assert "is truncated or damaged in record 1" in refused(data)


def test_a_file_that_changes_after_the_check_is_named(data):
    facts = check_data(data, FEATURES)
    check_unchanged(facts)
    gone, changed = (data / split / "part-00000.tfrecord.gz" for split in ("train", "eval"))
    changed.write_bytes(changed.read_bytes()[:-4])
    with pytest.raises(InputError, match=rf"^{changed} has changed since this run checked it: leave the data as it is during a run"):
        check_unchanged(facts)
    gone.unlink()
    with pytest.raises(InputError, match=rf"^{gone} is gone since this run checked it"):
        check_unchanged(facts)


@pytest.mark.parametrize("keep", [10, 60, -4])
def test_truncated_gzip(data, keep):
    file = data / "eval" / "part-00000.tfrecord.gz"
    file.write_bytes(file.read_bytes()[:keep])
    assert refused(data).startswith(f"{file} ")


@pytest.mark.parametrize("known", [None, "known.json"])
def test_a_file_that_changes_while_it_is_checked_is_named(data, tmp_path, monkeypatch, known):
    """Otherwise the facts would be those of the old content, and the fingerprint that of the new one."""

    def changed(shard, features):
        facts = _check_shard(shard, features)
        shard.write_bytes(gzip.compress(gzip.decompress(shard.read_bytes()), 9))
        return facts

    monkeypatch.setattr("pipeline.run.checks.check_impressions._check_shard", changed)
    with pytest.raises(InputError, match=r"has changed since this run checked it: leave the data as it is"):
        check_data(data, FEATURES, known and tmp_path / known)


@pytest.mark.parametrize("parts", [[0, 4], [1, 0, 3]])
def test_gzip_members_that_end_tensorflows_reading_are_refused(data, parts):
    """TensorFlow stops at an empty member without an error, so that a part of the data would be left out without a word."""
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(gzip_members(file, parts))
    assert refused(data).startswith(f"{file} is gzip files put together, and one of them is empty, after which TensorFlow reads no more")


def test_zeros_after_the_gzip_content_are_refused(data):
    """Python passes over them, and TensorFlow fails in the middle of the run."""
    file = data / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(file.read_bytes() + bytes(512))
    assert refused(data) == f"{file} has zeros after its gzip content, which TensorFlow cannot read: unzip it and gzip it again."


@pytest.mark.parametrize("parts", [[1, 3], [4, 0], [1, 1, 2]])
def test_gzip_members_that_tensorflow_reads(tmp_path, monkeypatch, parts):
    file = large(tmp_path, monkeypatch) / "train" / "part-00000.tfrecord.gz"
    file.write_bytes(gzip_members(file, parts))
    assert len(list(tf.data.TFRecordDataset(str(file), compression_type="GZIP"))) == 4
    assert check_data(file.parents[1], FEATURES).examples["train"] == 4


def gzip_members(file, parts):
    """The records of a shard in gzip members with the given numbers of records."""
    records = list(read_records(file))
    ends = np.cumsum(parts)
    return b"".join(gzip.compress(b"".join(map(frame, records[end - part : end]))) for part, end in zip(parts, ends, strict=True))


def test_a_flipped_bit(data):
    file = data / "eval" / "part-00000.tfrecord.gz"
    plain = bytearray(gzip.decompress(file.read_bytes()))
    plain[40] ^= 1
    file.write_bytes(gzip.compress(bytes(plain)))
    assert "is truncated or damaged in record 1" in refused(data)


def test_records_that_are_no_examples(data):
    from components.base.tfrecord import frame

    (data / "train" / "part-00000.tfrecord.gz").write_bytes(gzip.compress(frame(b"\xff\xff\xff")))
    assert "holds records that are not consistent tf.Examples" in refused(data)


BAD_ROWS = {
    "the label must be 0 or 1": {"label": [0, 1, 2, 0]},
    "feature 'user_id' holds a negative id (-2)": {"user_id": [0, 1, -2, 3]},
    "feature 'user_id' is -1, which means that it is missing, but": {"user_id": [0, 1, -1, 3]},
    "feature 'candidate_item_id' is -1, which means that it is missing, but": {"candidate_item_id": [0, 1, -1, 3]},
    "feature 'historical_item_ids' holds a negative id (-7)": {"historical_item_ids": [[3], [], [9, -7, 3], [5, 5]]},
    "feature 'historical_item_ids' holds -1, which means no event": {"historical_item_ids": [[3], [], [9, -1, 3], [5, 5]]},
    "feature 'historical_category_ids' holds -1, which means no event": {"historical_category_ids": [[0], [], [2, -1, 0], [1, 1]]},
    "feature 'timestamp' holds the time -1": {"timestamp": [20, 20, -1, 50]},
    "feature 'historical_timestamps' holds the time -5": {"historical_timestamps": [[10], [], [-5, 2, 30], [4, 5]]},
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


TEXT = FeatureConfig.model_validate(
    {
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids", "dtype": "bytes"},
        },
        "user": {"user_id": {"dtype": "bytes"}},
        "context": {"device": {"dtype": "bytes"}, "age": {}, "hour": {"kind": "numeric"}, "price": {"kind": "numeric", "dtype": "float"}},
    }
)


def text_impressions(**changes):
    """Impressions with ids of bytes and features of every kind."""
    return make_impressions(
        **{
            "user_id": [b"a", b"a", b"b", b"c"],
            "candidate_item_id": [b"i", b"j", b"k", b"i"],
            "historical_item_ids": [[b"j"], [], [b"i", b"j", b"k"], [b"k", b"k"]],
            "candidate_category_id": None,
            "historical_category_ids": None,
            "device": [b"phone", None, b"desk", b"desk"],
            "age": [1, None, 2, 3],
            "hour": [3, None, 4, 5],
            "price": [0.5, None, 1.5, 2.5],
        }
        | changes
    )


def write_text(out, **changes):
    return write_dataset(out, {"train": text_impressions(), "validation": text_impressions(**changes), "eval": text_impressions()})


BAD_TEXT = {
    "feature 'user_id' is b'', which means that it is missing, but": {"user_id": [b"a", b"a", b"", b"c"]},
    "feature 'candidate_item_id' is b'', which means that it is missing, but": {"candidate_item_id": [b"i", b"j", b"", b"i"]},
    "feature 'historical_item_ids' holds b'', which means no event": {"historical_item_ids": [[b"j"], [], [b"i", b"", b"k"], [b"k", b"k"]]},
    "feature 'historical_item_ids' holds b'j\\n': ids with a line end": {
        "historical_item_ids": [[b"j"], [], [b"i", b"j\n", b"k"], [b"k", b"k"]]
    },
    "feature 'candidate_item_id' holds b'\\rk': ids with a line end": {"candidate_item_id": [b"i", b"j", b"\rk", b"i"]},
    "feature 'device' holds b'de\\x00sk': ids with a line end or NUL": {"device": [b"phone", None, b"de\0sk", b"desk"]},
    "feature 'device' holds b'\\xff\\xfe', which is not UTF-8": {"device": [b"phone", None, b"\xff\xfe", b"desk"]},
    "feature 'age' holds a negative id (-2)": {"age": [1, None, -2, 3]},
    "feature 'price' is inf: leave it out, or write NaN": {"price": [0.5, None, float("inf"), 2.5]},
    "feature 'price' is -inf: leave it out, or write NaN": {"price": [0.5, None, -float("inf"), 2.5]},
}


@pytest.mark.parametrize("message", BAD_TEXT)
def test_text_that_is_no_id_is_named(tmp_path, message):
    """Case 16: Transform leaves out "" and text with line ends without a word, and `predict` takes "" in a history as padding."""
    data = write_text(tmp_path / "d", **BAD_TEXT[message])
    text = refused(data, TEXT)
    assert message in text
    assert text.startswith(f"{data / 'validation' / 'part-00000.tfrecord.gz'}, impression 3: ")


def test_an_optional_feature_may_be_written_as_missing(tmp_path):
    """Case 8: −1, "" and NaN mean what the feature's absence means. A number may be −1, and odd ids are ids."""
    odd = [b" a ", "\u2028".encode(), b"x" * 100_000, b"NA"]
    data = write_text(
        tmp_path / "d", device=[b"", None, b"\t", b'"'], age=[-1, None, 2, -1], hour=[-1, -7, 0, 1], price=[float("nan")] * 4, user_id=odd
    )
    assert check_data(data, TEXT).examples["validation"] == 4


@pytest.mark.parametrize(("name", "missing"), [("device", b""), ("age", -1), ("price", float("nan"))])
def test_a_feature_that_is_missing_in_all_of_train(tmp_path, name, missing):
    splits = {"train": text_impressions(**{name: [missing] * 4}), "validation": text_impressions(), "eval": text_impressions()}
    data = write_dataset(tmp_path / "d", splits)
    assert refused(data, TEXT).startswith(f"{data / 'train'}: no impression has a value of feature {name!r}")


WEIGHTED = FeatureConfig(weight="importance")
BAD_WEIGHTS = {
    "the weight 'importance' must be a number, 0 or more": [
        [0.5, 1.0, -0.5, 1.0],
        [0.5, 1.0, float("nan"), 1.0],
        [0.5, 0.0, float("inf"), 1.0],
    ],
    "feature 'importance' must have exactly one value": [[0.5, 1.0, None, 1.0], [[0.5], [1.0], [1.0, 2.0], [1.0]]],
}


@pytest.mark.parametrize(("message", "weights"), [(message, weights) for message, cases in BAD_WEIGHTS.items() for weights in cases])
def test_a_bad_weight_is_named(tmp_path, message, weights):
    sound = make_impressions(importance=[0.5, 0.0, 1.0, 2.0])
    data = write_dataset(tmp_path / "d", {"train": sound, "validation": sound | {"importance": weights}, "eval": sound})
    text = refused(data, WEIGHTED)
    assert message in text
    assert text.startswith(f"{data / 'validation' / 'part-00000.tfrecord.gz'}, impression 3: ")


def test_weights_that_are_nowhere_or_no_floats(data, tmp_path):
    assert "train/part-00000.tfrecord.gz has no feature 'importance' (float)" in refused(data, WEIGHTED)
    whole = write_dataset(tmp_path / "d", {"train": make_impressions(importance=[1, 2, 3, 4])})
    assert "feature 'importance' is int64, but float is declared" in refused(whole, WEIGHTED)


@pytest.mark.parametrize("weights", [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
def test_a_class_without_weight(tmp_path, weights):
    """Only training uses weights: those of the eval split may all be 0."""
    sound, light = make_impressions(importance=[0.0, 1.0, 0.0, 0.5]), make_impressions(importance=weights)
    data = write_dataset(tmp_path / "d", {"train": sound, "validation": light, "eval": sound})
    assert refused(data, WEIGHTED).startswith(f"{data / 'validation'}: 'importance' is 0 for a whole class of labels")
    unweighted_eval = write_dataset(tmp_path / "e", {"train": sound, "validation": sound, "eval": light})
    assert check_data(unweighted_eval, WEIGHTED).examples["eval"] == 4


TWO_SEQUENCES = FeatureConfig.model_validate(
    {
        "behaviours": {
            "item": {"candidate": "candidate_item_id", "history": "historical_item_ids"},
            "category": {"candidate": "candidate_category_id", "history": "historical_category_ids"},
            "cart": {"candidate": "candidate_item_id", "history": "cart_item_ids", "vocabulary": "item", "sequence": "cart"},
            "since": {"candidate": "candidate_hour", "history": "cart_hours", "sequence": "cart"},
        }
    }
)
CARTS = {"candidate_hour": [1, 2, 3, 4], "cart_item_ids": [[1], [2, 3], [4, 5], []], "cart_hours": [[1], [2, 3], [4, 5], []]}


def test_sequences_have_lengths_of_their_own(tmp_path):
    data = write_dataset(tmp_path / "d", dict.fromkeys(("train", "validation", "eval"), make_impressions(**CARTS)))
    assert check_data(data, TWO_SEQUENCES).examples["eval"] == 4


@pytest.mark.parametrize(
    ("first", "changes"),
    [
        ("cart_item_ids", {"cart_hours": [[1], [2, 3], [4], []]}),
        ("historical_item_ids", {"historical_category_ids": [[0], [], [2], [1, 1]]}),
    ],
)
def test_histories_of_one_sequence_are_aligned(tmp_path, first, changes):
    data = write_dataset(tmp_path / "d", {"train": make_impressions(**CARTS | changes)})
    text = refused(data, TWO_SEQUENCES)
    assert f"impression 3: {next(iter(changes))!r} and {first!r} differ in length" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"historical_timestamps": None}, "'historical_timestamps' and 'historical_item_ids' differ in length"),
        ({"timestamp": None}, "has no feature 'timestamp' (int64)"),
        ({"timestamp": [[20], [], [40], [50]]}, "feature 'timestamp' must have exactly one value"),
    ],
)
def test_time_gaps_need_times(tmp_path, changes, message):
    data = write_dataset(tmp_path / "d", {"validation": make_impressions(**changes)})
    check_data(write_dataset(tmp_path / "sound"), FeatureConfig(time_gap=True))
    assert message in refused(data, FeatureConfig(time_gap=True))


def test_embeddings_are_read_before_a_run(tmp_path, monkeypatch):
    """A relative path starts at the working directory."""
    monkeypatch.chdir(tmp_path)
    np.savez("items.npz", ids=np.arange(3), vectors=np.zeros((3, 8)))
    behaviour = {"candidate": "candidate_item_id", "history": "historical_item_ids", "embeddings": "items.npz"}
    check_named_files(FeatureConfig.model_validate({"behaviours": {"item": {**behaviour, "dim": 8}}}))
    with pytest.raises(InputError, match=r"^items\.npz: `vectors` is \(3, 8\), but 3 ids and dim = 16 need \(3, 16\): set dim to match\.$"):
        check_named_files(FeatureConfig.model_validate({"behaviours": {"item": behaviour}}))
    with pytest.raises(InputError, match=r"^nowhere\.npz is no \.npz"):
        check_named_files(FeatureConfig.model_validate({"user": {"user_id": {"embeddings": "nowhere.npz"}}}))


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
    with pytest.raises(InputError, match=r"workspace cannot be made \(Not a directory\): name another workspace with --workspace\."):
        check_workspace(tmp_path / "file" / "workspace")


def large(tmp_path, monkeypatch, **columns):
    """A data set whose shards count as large."""
    for name in ("_LARGE", "_FIRST"):
        monkeypatch.setattr(f"pipeline.run.checks.check_impressions.{name}", 2)
    return write_dataset(tmp_path / "d", {"train": make_impressions(**columns)} if columns else None)


def test_large_shards_are_read_quickly_with_the_same_result(tmp_path, monkeypatch):
    slow = check_data(write_dataset(tmp_path / "slow"), FEATURES)
    data = large(tmp_path, monkeypatch)
    used = []
    monkeypatch.setattr("pipeline.run.checks.check_impressions.quick_batches", lambda *args: used.append(args) or quick_batches(*args))
    found = check_data(data, FEATURES)
    assert len(used) == 3
    assert (found.examples, found.columns) == (slow.examples, slow.columns)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [0, 1, 0, 2]}, "impression 4: the label must be 0 or 1."),
        (
            {"candidate_item_id": [1, 2, 3, -4]},
            "impression 4: feature 'candidate_item_id' holds a negative id (-4): ids must be 0 or more",
        ),
        ({"user_id": [b"a", b"b", b"c", b"d"]}, "feature 'user_id' is bytes, but int64 is declared: change one of the two."),
    ],
)
def test_what_is_wrong_in_large_shards_is_named_as_in_small_ones(tmp_path, monkeypatch, columns, message):
    assert message in refused(large(tmp_path, monkeypatch, **columns))


def test_times_that_begin_late_in_a_large_shard_are_checked(tmp_path, monkeypatch):
    """The first impressions of a shard that say which columns it has have no times; a later one has an event from the future."""
    late = {"timestamp": [[], [], [], [10]], "historical_timestamps": [[], [], [], [5, 11]], "historical_item_ids": [[], [], [], [5, 5]]}
    message = refused(large(tmp_path, monkeypatch, **late, historical_category_ids=[[], [], [], [1, 1]]))
    assert "impression 4: its history holds an event after the impression" in message


def test_a_damaged_large_shard_is_named(tmp_path, monkeypatch):
    shard = large(tmp_path, monkeypatch) / "train" / "part-00000.tfrecord.gz"
    records = bytearray(gzip.decompress(shard.read_bytes()))
    records[-1] ^= 1
    shard.write_bytes(gzip.compress(records))
    assert refused(shard.parents[1]) == f"{shard} is truncated or damaged in record 4: write or copy it again."


@pytest.mark.parametrize("cut", [1, 9, 20, 40, 300])
def test_a_truncated_large_shard_is_named(tmp_path, monkeypatch, cut):
    """TensorFlow's reader takes the last records of a truncated gzip file for its end, without an error."""
    shard = (
        large(tmp_path, monkeypatch, **{name: values * 100 for name, values in make_impressions().items()})
        / "train"
        / "part-00000.tfrecord.gz"
    )
    shard.write_bytes(shard.read_bytes()[:-cut])
    assert refused(shard.parents[1]).startswith(f"{shard} is not a whole gzip file")


def test_a_shard_that_stays_the_same_is_not_read_again(data, tmp_path, monkeypatch):
    known = tmp_path / "checks" / "known.json"
    facts = check_data(data, FEATURES, known)
    read = []
    monkeypatch.setattr(
        "pipeline.run.checks.check_impressions.read_blocks", lambda file, **named: read.append(file) or read_blocks(file, **named)
    )
    assert check_data(data, FEATURES, known) == facts
    assert read == []
    shard = data / "eval" / "part-00000.tfrecord.gz"
    content, stat = shard.read_bytes(), shard.stat()
    shard.write_bytes(content)  # the same size and content
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert check_data(data, FEATURES, known).examples == facts.examples
    assert set(read) == {shard}


def test_a_shard_that_becomes_wrong_is_found_in_spite_of_what_is_known(data, tmp_path):
    known = tmp_path / "known.json"
    check_data(data, FEATURES, known)
    shard = data / "eval" / "part-00000.tfrecord.gz"
    stat, damaged = shard.stat(), bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    shard.write_bytes(damaged)
    os.utime(shard, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(InputError, match=f"^{shard} "):
        check_data(data, FEATURES, known)


@pytest.mark.parametrize("content", ["", "no JSON", "[1]", '{"x": 1}'])
def test_what_is_known_may_be_damaged(data, tmp_path, content):
    known = tmp_path / "known.json"
    known.write_text(content)
    assert check_data(data, FEATURES, known).examples["eval"] == 4
    assert known.read_text().startswith('{"')
