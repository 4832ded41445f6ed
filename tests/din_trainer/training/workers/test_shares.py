"""Each record of a split belongs to one worker."""

import numpy as np

from din_trainer.training.workers.shares import places_of, share_of


def test_workers_have_equally_many_whole_shards_and_share_the_records_of_the_others():
    """Seven shards, three workers: two whole shards each, and every third record of the seventh."""
    shares = [share_of(worker, 3, 7) for worker in range(3)]
    assert [share.shards for share in shares] == [[0, 3, 6], [1, 4, 6], [2, 5, 6]]
    assert {share.from_split for share in shares} == {6}


def test_fewer_shards_than_workers_are_all_shared():
    assert [share_of(worker, 3, 2).shards for worker in range(3)] == [[0, 1]] * 3


def test_the_places_of_a_worker_s_records():
    """Shards with 2, 3 and 4 records: the first for worker 0, the second for worker 1, the records of the third by turns."""
    counts = np.array([[2, 0, 2], [0, 3, 2]])
    assert places_of(share_of(0, 2, 3), counts).tolist() == [0, 1, 5, 7]
    assert places_of(share_of(1, 2, 3), counts).tolist() == [2, 3, 4, 6, 8]
