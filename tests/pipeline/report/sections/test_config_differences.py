"""Which keys of two configurations differ."""

from pipeline.report.sections.config_differences import Difference, differences


def test_differences_name_dotted_keys():
    first = {"name": "a", "training": {"epochs": 3, "seed": 0}, "model": {"hidden": [64, 32]}, "gone": {}}
    second = {"name": "a", "training": {"epochs": 5, "seed": 0}, "model": {"hidden": [64]}, "new": {"key": "<b>"}}
    assert differences(first, second) == [
        Difference("gone", "{}", None),
        Difference("model.hidden", "[64, 32]", "[64]"),
        Difference("new.key", None, '"<b>"'),
        Difference("training.epochs", "3", "5"),
    ]
