"""The impressions that our exports are made of."""

from benchmarks.peers.workers import our_exports


def test_impressions_show_every_id():
    sizes = {"user": 5, "item": 3, "category": 2}
    impressions = our_exports.impressions_of_all_ids(sizes)
    for name, feature in (("user", "user_id"), ("item", "candidate_item_id"), ("category", "candidate_category_id")):
        assert {row[feature] for row in impressions} == set(range(sizes[name]))
