"""Names of the buckets of a number."""

from components.evaluation.value_buckets import bucket_names


def test_the_names_say_on_which_side_of_a_boundary_a_bucket_is():
    assert bucket_names([18, 25.5, 65]) == ["below 18", "18 to below 25.5", "25.5 to below 65", "65 or more"]
    assert bucket_names((0.1,)) == ["below 0.1", "0.1 or more"]


def test_close_boundaries_have_different_names():
    assert bucket_names([1.0000001, 1.0000002])[1] == "1.0000001 to below 1.0000002"
