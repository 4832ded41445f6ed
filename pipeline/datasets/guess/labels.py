"""Guesses which values of a column are clicks."""

from typing import NamedTuple

from pipeline.datasets.guess.column import Column
from pipeline.datasets.guess.draft import Value, quoted

_POSITIVE = (
    "click clicked clk buy bought purchase purchased order ordered transaction conversion converted like liked play played watch watched "
    "listen listened yes positive cart addtocart add_to_cart fav favorite favourite save saved download install"
)
_NEGATIVE = (
    "impression imp impr show shown exposure expose exposed display displayed noclick no_click no negative skip skipped dislike disliked "
    "ignore ignored view viewed seen"
)
_TAOBAO = frozenset(("pv", "buy", "cart", "fav"))
_TRUTH = frozenset(("0", "1", "0.0", "1.0", "true", "false"))
_MOST_WORDS = 20  # different values of a label
_SHOWN = 6  # values in the reason
_LIKED = {5: 4.0, 10: 7.0, 100: 70.0}  # greatest rating -> least rating of a click


class LabelForm(NamedTuple):
    """What the values of a label mean: keys of [label] in the mapping, none where the values are 0 and 1."""

    keys: dict[str, Value]
    reason: str


def guess_label(column: Column) -> LabelForm | None:
    """Returns what the values mean; None where they are not those of a label."""
    texts = {text.strip() for text in column.different}
    words = {text.lower() for text in texts}
    if not words or len(words) > _MOST_WORDS or (len(words) == 1 and words <= _TRUTH):
        return None
    counts = ", ".join(f"{quoted(text)} {count:,} times" for text, count in column.different.most_common(_SHOWN))
    counts += ", …" if len(words) > _SHOWN else ""
    if words <= _TRUTH:
        return LabelForm({}, f"its values: {counts}")
    if column.numbers is not None:
        return _rating(column, counts)
    if "pv" in words and words <= _TAOBAO:
        reason = f"{counts}; as in Taobao's logs a page view (pv) is a click, and other rows are dropped"
        return LabelForm({"positive": [text for text in texts if text.lower() == "pv"], "negative": []}, reason)
    if words in ({"y", "n"}, {"t", "f"}):
        return LabelForm({"positive": [text for text in texts if text in "YyTt"]}, counts)
    positive, negative = (sorted(text for text in texts if text.lower() in known.split()) for known in (_POSITIVE, _NEGATIVE))
    others = sorted(texts - {*positive, *negative})
    if not positive:
        return None
    keys: dict[str, Value] = {"positive": positive}
    if negative:
        keys["negative"] = negative
    if not negative and not others:
        return LabelForm({**keys, "negative": []}, f"{counts}; all of them are clicks, so negatives are sampled")
    dropped = f"; rows with {', '.join(map(quoted, others))} are {'dropped' if negative else 'no clicks'}" if others else ""
    return LabelForm(keys, f"{counts}{dropped}")


def _rating(column: Column, counts: str) -> LabelForm | None:
    numbers = column.numbers or []
    if set(numbers) == {-1, 1}:
        return LabelForm({"positive": ["1"], "negative": ["-1"]}, counts)
    top = next((top for top in _LIKED if max(numbers) <= top), None)
    if top is None or not 0 <= min(numbers) < _LIKED[top] <= max(numbers) or len(set(numbers)) < 3:
        return None
    return LabelForm({"at_least": _LIKED[top]}, f"{counts}; choose from which number on a row is a click")
