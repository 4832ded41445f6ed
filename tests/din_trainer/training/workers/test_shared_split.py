"""The parts of all workers together are the batches of one worker; from streams, all rows once, and then batches without rows."""

import numpy as np
import pytest

from din_trainer.training.input_pipeline import Split
from din_trainer.training.workers.shared_split import PLACES, SharedSplit
from tests.din_trainer.exchange.in_threads import by_workers
from tests.din_trainer.training.test_input_pipeline import SPEC, reader, write

BATCH = 4


@pytest.fixture
def files(tmp_path):
    """Three shards with 7, 3 and 6 records."""
    return [write(tmp_path / "a", range(7)), write(tmp_path / "b", range(7, 10)), write(tmp_path / "c", range(10, 16))]


def shared(files, **settings):
    return lambda workers: SharedSplit(workers, files, reader(SPEC), BATCH, **settings)


@pytest.mark.parametrize("workers", [2, 3, 5])
@pytest.mark.parametrize("negative_rate", [1.0, 0.5])
def test_the_parts_in_memory_are_those_of_one_worker_s_batches(files, tmp_path, workers, negative_rate):
    settings = {"shuffle_seed": 3, "negative_rate": negative_rate}
    one = Split(files, reader(SPEC), BATCH, **settings)
    splits = by_workers(tmp_path, workers, shared(files, **settings))
    for epoch in range(2):
        expected = [features["id"].numpy().tolist() for features, _ in one.epoch(epoch)]
        found = [[None] * len(batch) for batch in expected]
        for split in splits:
            parts = list(split.epoch(epoch))
            assert len(parts) == len(expected)
            for (features, label), batch in zip(parts, found, strict=True):
                np.testing.assert_array_equal(label, features["id"] % 2)
                for place, number in zip(features[PLACES].numpy(), features["id"].numpy(), strict=True):
                    assert batch[place] is None
                    batch[place] = int(number)
        assert found == expected


@pytest.mark.parametrize("memory_mb", [100, 1e-6], ids=["from memory", "from streams"])
def test_each_worker_scores_its_own_rows_and_all_workers_all_rows(files, tmp_path, memory_mb):
    """The shards a and b are whole, of c both have every second record."""
    splits = by_workers(tmp_path, 2, shared(files, memory_mb=memory_mb))
    own = [[int(i) for features, _ in split.own_rows() for i in features["id"]] for split in splits]
    assert own == [[0, 1, 2, 3, 4, 5, 6, 10, 12, 14], [7, 8, 9, 11, 13, 15]]
    assert [int(i) for features, _ in splits[1].unsampled() for i in features["id"]] == list(range(16))


def test_streams_take_their_part_of_each_batch_and_go_on_without_rows(files, tmp_path):
    splits = by_workers(tmp_path, 2, shared(files, shuffle_seed=1, memory_mb=1e-6))
    assert not any(split.in_memory for split in splits)
    parts = [[features["id"].numpy().tolist() for features, _ in split.epoch().take(7)] for split in splits]
    assert [[len(part) for part in of_worker] for of_worker in parts] == [[2, 2, 2, 2, 2, 0, 0], [2, 2, 2, 0, 0, 0, 0]]
    assert sorted(number for of_worker in parts for part in of_worker for number in part) == list(range(16))
    again = [[features["id"].numpy().tolist() for features, _ in split.epoch().take(7)] for split in splits]
    assert again == parts
