"""tf.Examples that are encoded a batch at a time: as protobuf encodes them one by one."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from components.base.example_encoder import encode_examples, varints

KINDS = {"integers": "int64_list", "one": "int64_list", "floats": "float_list"}  # the others are bytes


def numbers(data, ends):
    return [data[begin:end].tobytes() for begin, end in pairwise(ends)]


def test_integers_have_seven_bits_a_byte():
    """By hand: 300 is 0b10_0101100, so 0xAC (its low seven bits, more follows) and 2; a negative number takes ten bytes."""
    found = numbers(*varints(np.array([0, 1, 127, 128, 300, -1, 2**63 - 1])))
    assert found == [b"\0", b"\1", b"\x7f", b"\x80\1", b"\xac\2", b"\xff" * 9 + b"\1", b"\xff" * 8 + b"\x7f"]


def test_no_integers():
    data, ends = varints(np.zeros(0, np.int64))
    assert data.size == 0 and ends.tolist() == [0]


def test_integers_of_equal_length_are_the_quick_case():
    assert numbers(*varints(np.array([1_000_000, 2_000_000]))) == [b"\xc0\x84\x3d", b"\x80\x89\x7a"]


def test_an_example_byte_by_byte():
    batch = pa.RecordBatch.from_pydict({"a": pa.array([[300]], pa.list_(pa.int64()))})
    entry = b"\x0a\x01a" + b"\x12\x06" + b"\x1a\x04" + b"\x0a\x02\xac\x02"
    assert encode_examples(batch).to_pylist() == [b"\x0a\x0d" + b"\x0a\x0b" + entry]


def random_batch(rng, size):
    def lists(draw, most):
        return [None if rng.random() < 0.1 else draw(int(rng.integers(0, most))) for _ in range(size)]

    def integers(count):
        return [int(value) >> int(rng.integers(0, 64)) for value in rng.integers(-(2**63), 2**63, count, dtype=np.int64)]

    def texts(longest):
        return lambda count: [rng.bytes(int(rng.integers(0, longest))) for _ in range(count)]

    return pa.RecordBatch.from_pydict(
        {
            "integers": pa.array(lists(integers, 200), pa.large_list(pa.int64())),
            "floats": pa.array(lists(lambda count: rng.standard_normal(count).tolist(), 90), pa.list_(pa.float32())),
            "texts": pa.array(lists(texts(300), 5), pa.list_(pa.binary())),
            "x" * 200: pa.array(lists(texts(3), 5), pa.large_list(pa.large_binary())),
            "one": pa.array([[1]] * size, pa.large_list(pa.int64())),
        }
    )


@pytest.mark.parametrize("seed", range(20))
def test_protobuf_reads_the_same_values(seed):
    """Random lists: empty ones, missing ones (a feature without a list), slices of a batch, sizes on both sides of 127 bytes."""
    from tensorflow.core.example.example_pb2 import Example

    rng = np.random.default_rng(seed)
    batch = random_batch(rng, int(rng.integers(1, 30)))
    batch = batch.slice(int(rng.integers(0, batch.num_rows)))
    for encoded, row in zip(encode_examples(batch).to_pylist(), batch.to_pylist(), strict=True):
        example = Example.FromString(encoded)
        assert set(example.features.feature) == set(row)
        for name, values in row.items():
            feature = example.features.feature[name]
            kind = feature.WhichOneof("kind")
            assert kind == (None if values is None else KINDS.get(name, "bytes_list"))
            assert values is None or list(getattr(feature, kind).value) == values


def test_other_types_are_refused():
    for column in (pa.array([1]), pa.array([["a"]]), pa.array([[1.0]], pa.list_(pa.float64()))):
        with pytest.raises(TypeError, match=r"a tf\.Example has lists of int64, float32 or binary"):
            encode_examples(pa.RecordBatch.from_pydict({"a": column}))
    with pytest.raises(TypeError, match="a has a null inside a list"):
        encode_examples(pa.RecordBatch.from_pydict({"a": pa.array([[1, None]])}))
