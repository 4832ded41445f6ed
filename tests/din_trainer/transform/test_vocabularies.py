"""The vocabulary files are those of `tft.vocabulary`, byte for byte."""

import apache_beam as beam
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from components.base.errors import causes
from din_trainer.training_errors import EmptyVocabulary
from din_trainer.transform.vocabularies import in_order, vocabulary
from pipeline.runners.beam_options import local_options

NUMBERS = [7, 7, 10, 9, 10, 123456789012, 0, 0, 0, -5, 2**63 - 1, 9]
TEXTS = [b"b", b"a", b"b", b"", b"", b"two\nlines", b"cr\rcr", b"cr\rcr", "é".encode(), b"a ", b" a", b"Z", b"0"]


def analysed(tmp_path, function, rows, dtype):
    """Runs an analysis on rows with one list, and returns the assets by name."""
    spec = {"x": tf.io.VarLenFeature(dtype)}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    with beam.Pipeline(argv=local_options()) as pipeline, tft_beam.Context(temp_dir=str(tmp_path / "temp")):
        data = (pipeline | beam.Create([{"x": row} for row in rows]), metadata)
        _ = data | tft_beam.AnalyzeDataset(function) | tft_beam.WriteTransformFn(str(tmp_path / "out"))
    folder = tmp_path / "out" / "transform_fn" / "assets"
    return {file.name: file.read_bytes() for file in folder.iterdir()}, tft.TFTransformOutput(str(tmp_path / "out"))


@pytest.mark.parametrize(("values", "dtype"), [(NUMBERS, tf.int64), (TEXTS, tf.string)])
def test_files_are_those_of_tft(tmp_path, values, dtype):
    def both(inputs):
        x = inputs["x"].values
        for least in (1, 2):
            threshold = least if least > 1 else None
            vocabulary(x, f"ours_{least}", least, f"ours_counts_{least}")
            tft.vocabulary(x, frequency_threshold=threshold, vocab_filename=f"theirs_{least}")
            tft.vocabulary(x, frequency_threshold=threshold, vocab_filename=f"theirs_counts_{least}", store_frequency=True)
        return {"y": tft.apply_vocabulary(inputs["x"], vocabulary(x, "applied", 1))}

    assets, output = analysed(tmp_path, both, [values[:5], [], values[5:]], dtype)
    assert assets["ours_1"] == assets["theirs_1"] == assets["applied"] != assets["ours_2"] == assets["theirs_2"]
    assert assets["ours_counts_1"] == assets["theirs_counts_1"] != assets["ours_counts_2"] == assets["theirs_counts_2"]
    assert output.vocabulary_size_by_name("ours_1") == assets["ours_1"].count(b"\n")


def test_one_process_makes_vocabularies_of_one_name_and_two_types(tmp_path):
    """As `din bench quality --suite default` does: categories are numbers in one data set and text in the next."""
    for folder, values, dtype in (("numbers", [7, 7, 10], tf.int64), ("texts", [b"b", b"a", b"b"], tf.string)):

        def applied(inputs):
            return {"y": tft.apply_vocabulary(inputs["x"], vocabulary(inputs["x"].values, "category", 1))}

        assets, _ = analysed(tmp_path / folder, applied, [values], dtype)
        assert assets["category"] == (b"7\n10\n" if folder == "numbers" else b"b\na\n")


def test_an_empty_vocabulary_is_refused(tmp_path):
    def alone(inputs):
        return {"y": tft.apply_vocabulary(inputs["x"], vocabulary(inputs["x"].values, "clicks", 3))}

    with pytest.raises(Exception, match="no value of 'clicks' occurs 3 times in train/, so its vocabulary would be empty") as error:
        analysed(tmp_path, alone, [[1, 1, 2]], tf.int64)
    assert any(isinstance(cause, EmptyVocabulary) for cause in causes(error.value))


def test_ties_are_in_falling_order_of_bytes():
    counts = pa.table({"value": pa.array([b"9", b"10", b"a", b"\xff"], pa.large_binary()), "count": [2, 2, 3, 2]})
    assert in_order(counts, 2)["value"].to_pylist() == [b"a", b"\xff", b"9", b"10"]
    assert in_order(counts, 3)["count"].to_pylist() == [3]
