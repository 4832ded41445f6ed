"""What a warm start took over, in lines for the terminal."""

from pipeline.records.warm_start_text import warm_start_lines


def test_counts_and_what_was_not_kept_are_said():
    warm_start = {
        "from": "20261101-101500-demo",
        "vocabularies": {"item": {"kept": 4801, "new": 12, "dropped": 5}, "user_id": {"kept": 0, "new": 3, "dropped": 0}},
        "not_kept": [{"what": "embedding_user_id", "why": "the start model does not have it"}],
    }
    assert warm_start_lines(warm_start) == [
        "started from run 20261101-101500-demo: item 4,801 kept, 12 new, 5 dropped; user_id 0 kept, 3 new, 0 dropped",
        "not kept: embedding_user_id: the start model does not have it",
    ]


def test_a_run_that_did_not_come_to_train_names_its_start_alone():
    assert warm_start_lines({"from": "20261101-101500-demo"}) == ["started from run 20261101-101500-demo"]
    assert warm_start_lines(None) == []
