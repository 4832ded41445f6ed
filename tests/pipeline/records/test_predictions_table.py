"""The table of sample impressions: a cell for each feature, and as many features as the terminal has room for."""

import io

import pytest

from pipeline.console import Console
from pipeline.records.predictions_table import predictions_table

HEAD = {"user_id": 3, "candidate_item_id": 44, "label": 1, "purchase": 0, "probability": 0.25, "probability_purchase": 0.125}


def printed(rows, width):
    file = io.StringIO()
    console = Console(file=file, width=width)
    console.print(predictions_table(rows, console))
    return file.getvalue().splitlines()


def cells(line):
    return [cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")]


def test_a_missing_feature_is_an_empty_cell():
    """A row without an age once had its income in the column of the age."""
    _, _, header, _, first, second, _ = printed([{**HEAD, "income": 900.0}, {**HEAD, "age": 30, "income": 800.5}], 200)
    assert cells(header) == [*HEAD, "income", "age"]
    head = ["3", "44", "1", "0", "0.2500", "0.1250"]
    assert cells(first) == [*head, "900.0000", ""] and cells(second) == [*head, "800.5000", "30"]


@pytest.mark.parametrize(("width", "shown", "note"), [
    (200, ["age", "interests", "city"], None),
    (107, ["age", "city"], "1 feature of the user is not shown: the terminal is too narrow."),
    (90, [], "3 features of the user are not shown: the terminal is too narrow."),
    (40, [], "3 features of the user are not shown:"),
])  # fmt: skip
def test_the_features_that_fit_are_shown_and_the_others_are_counted(width, shown, note):
    """The first columns are always there; of the others only those that fit as a whole, so that no line is folded."""
    rows = [{**HEAD, "age": 30, "interests": ["books", "garden", "long words"], "city": "Bern"}, HEAD]
    lines = printed(rows, width)
    assert all(len(line) <= width for line in lines)
    if width > 80:
        assert cells(lines[2]) == [*HEAD, *shown]
    assert [line.strip() for line in lines if "not shown" in line] == ([note] if note else [])
    if width == 200:
        assert cells(lines[4])[7] == "books, garden, long words"
