"""Writes what was guessed of a table as a mapping: columns, types, missing values, times, label, lists, and what is left out."""

import re
from collections import Counter

from din_trainer.features import HISTORICAL_TIMESTAMPS
from pipeline.datasets.guess.column import Column
from pipeline.datasets.guess.draft import Draft, quoted
from pipeline.datasets.guess.histories import History, find_histories
from pipeline.datasets.guess.names import is_history
from pipeline.datasets.guess.roles import Roles
from pipeline.datasets.guess.times import TimeForm
from pipeline.datasets.importing.column_counts import MISSING_WORDS
from pipeline.datasets.sources.interactions import CANDIDATE, CATEGORY, HISTORICAL, ITEM, LABEL, REQUEST, SPLIT, TIMESTAMP, USER

_RESERVED = {USER, LABEL, TIMESTAMP, REQUEST, SPLIT, "self", "examples"}
_TIED = 0.5  # of the rows have the time of another row of the same user: the clock is coarse


def write_mapping(roles: Roles, draft: Draft) -> None:
    """Adds everything that was guessed of the columns to a draft."""
    histories = find_histories(roles)
    _write_ids(roles, draft)
    _write_time(roles, draft)
    if not histories:
        _write_clock(roles, draft)
    _write_label(roles, draft)
    _write_impressions(roles, draft)
    for name, history in histories.items():
        _write_history(draft, name, history)
    _write_features(roles, draft)


def _write_ids(roles: Roles, draft: Draft) -> None:
    for role in (USER, ITEM, CATEGORY, REQUEST):
        if role in roles.columns:
            column = roles.columns[role]
            draft.set("columns", role, column.name, roles.reasons[role])
            if column.is_id and (role != CATEGORY or len(column.texts) == len(column.values)):
                _write_type(draft, role, column)
            elif column.is_id:
                draft.say("types", f"{role} is text, since a row without it gets (unknown); as int64 such a row is broken")
            _write_missing(draft, role, column)
        elif role in (USER, ITEM) and not (role == ITEM and roles.impressions):
            names = ", ".join(map(quoted, roles.others))
            draft.say("columns", f"{role} = ?  no column was recognised, and the mapping needs one; choices: {names or 'none'}")
    if REQUEST not in roles.columns and not roles.impressions:
        draft.say("columns", "request_id: no column was recognised that says which rows were shown together; NDCG and MRR need it")


def _write_type(draft: Draft, name: str, column: Column) -> None:
    kind = "whole numbers" if column.is_whole else "numbers"
    written = ", written as 3.0" if column.is_whole and any("." in text for text in column.different) else ""
    low, high = (f"{int(limit) if limit.is_integer() else limit}" for limit in (min(column.numbers or [0.0]), max(column.numbers or [0.0])))
    draft.set("types", name, column.dtype, f"{kind} from {low} to {high}{written}")


def _write_missing(draft: Draft, name: str, column: Column) -> None:
    is_needed, without = name in (USER, ITEM, TIMESTAMP), len(column.values) - len(column.present)
    if is_needed and without:
        draft.say("missing", f"{without:,} rows have no {name} and are broken: use --skip-broken")
    if not column.markers:
        return
    counts = ", ".join(f"{quoted(text)} {count:,} times" for text, count in column.markers.items())
    needed = "; rows without it are broken: use --skip-broken" if is_needed else ""
    draft.set("missing", name, sorted({text.removesuffix(".0") for text in column.markers}), f"{counts}{needed}")


def _write_time(roles: Roles, draft: Draft) -> None:
    if roles.time is None:
        draft.say("columns", "timestamp: no column was recognised, so the order of the rows is the order of time")
        return
    form, column = roles.time, roles.columns[TIMESTAMP]
    draft.set("columns", TIMESTAMP, column.name, roles.reasons[TIMESTAMP])
    if roles.clock:
        clock, clock_form = roles.clock
        draft.set("timestamp", "format", f"{form.format or '%Y-%m-%d'} {clock_form}", "the day, one space and the time of day")
        draft.set("timestamp", "time", clock.name, "the column with the time of day")
    elif form.format:
        draft.set("timestamp", "format", form.format)
    elif form.unit:
        draft.set("timestamp", "unit", form.unit)
    _write_missing(draft, TIMESTAMP, column)


def _write_clock(roles: Roles, draft: Draft) -> None:
    """Says how a history is built where the clock is coarse."""
    if USER not in roles.columns or roles.time is None or roles.clock:
        return
    if (tied := _tied_share(roles.columns[USER], roles.time)) > _TIED:
        reason = f"{tied:.0%} of the rows have the time of another row of the same user, so the order of the rows counts within a time"
        draft.set("", "history", "before", reason)


def _tied_share(user: Column, time: TimeForm) -> float:
    pairs = Counter(zip(user.cells, time.seconds, strict=True))
    return sum(count for count in pairs.values() if count > 1) / len(user.values)


def _write_label(roles: Roles, draft: Draft) -> None:
    if roles.impressions:
        return
    if roles.label is None:
        few = [f"{quoted(column.name)} ({', '.join(map(quoted, column.different))})" for column in roles.others.values() if _is_few(column)]
        choices = f"; columns with few values: {'; '.join(few)}" if few else ""
        draft.say("label", f"no label was recognised, so each row is a click, and negatives are sampled{choices}")
        draft.say("label", 'column = "…"')
        draft.say("label", 'positive = ["…"]')
        return
    column = roles.columns[LABEL]
    if without := len(column.values) - len(column.present):
        draft.say("label", f"{without:,} rows have no label and are broken: use --skip-broken")
    if column.markers:
        markers = ", ".join(f"{quoted(text)} {count:,} times" for text, count in column.markers.items())
        draft.say("label", f"{markers}: if that means that there is no label, check what becomes of such rows")
    if not roles.label.keys:
        draft.set("columns", LABEL, column.name, roles.reasons[LABEL])
        return
    draft.set("label", "column", column.name, roles.reasons[LABEL])
    for key, value in roles.label.keys.items():
        draft.set("label", key, value)


def _is_few(column: Column) -> bool:
    return 1 < len(column.different) <= 6


def _write_impressions(roles: Roles, draft: Draft) -> None:
    if roles.impressions:
        column, form = roles.impressions
        draft.set("impressions", "column", column.name, f"each cell holds candidates with labels, for example {quoted(column.examples[0])}")
        draft.set("impressions", "separator", form.separator)
        draft.set("impressions", "label_separator", form.label_separator)


def _write_history(draft: Draft, name: str, history: History) -> None:
    value = {"column": history.column.name, "separator": history.form.separator}
    if not history.form.separator:
        del value["separator"]
    draft.set("histories", name, value, history.reason)
    words = {word.lower() for word in MISSING_WORDS}
    markers = sorted(text for text in history.form.values if text.lower() in words)
    if markers and name != HISTORICAL_TIMESTAMPS:
        draft.set("missing", name, markers, "events that mean that there is none are dropped")


def _write_features(roles: Roles, draft: Draft) -> None:
    for place, column in enumerate(list(roles.others.values()), 1):
        if reason := _unfit(column):
            draft.say("columns", f"not used: {quoted(column.name)}, {reason}")
            continue
        name = _feature_name(column.name, place, draft)
        draft.set("columns", name, column.name, f"a feature of the user or the context, such as {', '.join(map(quoted, column.examples))}")
        if column.dtype != "bytes":
            _write_type(draft, name, column)
        _write_missing(draft, name, column)


def _unfit(column: Column) -> str | None:
    """Says why a column is no feature; None where it can be one."""
    if not column.texts and not column.is_nested and not column.is_moment:
        return "it has no value in these rows"
    if is_history(column.name):
        return "it is called a history, but in which way its values are lists was not recognised: set it in [histories]"
    if column.is_nested:
        return "its values are lists, objects or of another type that is no feature"
    if column.is_moment:
        return "it holds times"
    if len(column.different) == 1 and len(column.texts) == len(column.values):
        return f"it is always {quoted(column.texts[0])}"
    if any(mark in text for text in column.different for mark in "\r\n\0"):
        return "its texts have line ends"
    if column.is_long_text:
        return f"it is long text, such as {quoted(column.examples[0])}"
    if (column.numbers is None or column.is_whole) and len(column.different) == len(column.values) > 2:
        return f"each row has another value, such as {quoted(column.examples[0])}"
    return None


def _feature_name(column: str, place: int, draft: Draft) -> str:
    """Returns a name of letters, digits and _, which begins with a letter and is free."""
    name = re.sub("[^A-Za-z0-9_]+", "_", column.split(":")[0]).strip("_")
    if not name or not name[0].isalpha() or name in _RESERVED or name.startswith((CANDIDATE, HISTORICAL)):
        name = f"feature_{name or place}"
    return f"{name}_{place}" if draft.has("columns", name) else name
