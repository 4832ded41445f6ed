"""Guesses the role of each column: by its name, and where no name says it, by its values."""

from collections import defaultdict
from dataclasses import dataclass, field

from pipeline.datasets.guess.column import Column
from pipeline.datasets.guess.draft import quoted
from pipeline.datasets.guess.labels import LabelForm, guess_label
from pipeline.datasets.guess.lists import LabelledForm, bracketed_lists, labelled_items
from pipeline.datasets.guess.names import is_bare_id, is_clock, is_history, is_of_others, is_unique_id, name_rank
from pipeline.datasets.guess.times import TimeForm, clock_format, guess_counter, guess_time
from pipeline.datasets.sources.interactions import CATEGORY, ITEM, LABEL, REQUEST, TIMESTAMP, USER

_NO_RANK = 1000
_MOST_DIFFERENT = 0.7  # of the values, for an id that repeats
_LEAST_PRESENT = 0.5  # of the rows have a value of an id
_BY_NAME = "by its name"


@dataclass
class Roles:
    """The columns with a role, and the others.

    Attributes:
        columns: Role -> column.
        reasons: Role -> why the column has it.
        others: The columns without a role, by name, in the order of the table.
        time: How the times are written.
        clock: The column with the time of day, where the times are days, and its format.
        label: What the values of the label mean.
        impressions: The column with lists of candidates and labels, and its form.
    """

    columns: dict[str, Column] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    others: dict[str, Column] = field(default_factory=dict)
    time: TimeForm | None = None
    clock: tuple[Column, str] | None = None
    label: LabelForm | None = None
    impressions: tuple[Column, LabelledForm] | None = None

    def give(self, role: str, column: Column, reason: str) -> None:
        """Gives a role to one of the other columns."""
        self.columns[role], self.reasons[role] = column, reason
        del self.others[column.name]

    @property
    def items(self) -> set[str]:
        """The ids of items that were found."""
        if self.impressions:
            return set(self.impressions[1].items)
        return set(self.columns[ITEM].different) if ITEM in self.columns else set()


def guess_roles(columns: list[Column], has_names: bool) -> Roles:
    """Guesses the role of each column.

    Args:
        columns: The columns of a table, with different names.
        has_names: Whether the columns have names; if not, only values can tell.
    """
    roles = Roles(others={column.name: column for column in columns})
    _find_time(roles, has_names)
    _find_impressions(roles)
    if has_names and not roles.impressions:
        _find_label(roles, [name for name in roles.others if name_rank(name, LABEL) is not None])
    for role in (USER, CATEGORY, REQUEST) if roles.impressions else (USER, ITEM, CATEGORY, REQUEST):
        _find_by_name(roles, role)
    if not has_names and not roles.impressions:
        several = [name for name, column in roles.others.items() if len(column.different) > 1]
        _find_label(roles, [name for name in several if roles.others[name].numbers is None or len(roles.others[name].different) == 2])
    _find_by_values(roles)
    if not has_names and not roles.impressions:
        _find_category(roles)
        if LABEL not in roles.columns:
            _find_label(roles, [name for name in several if name in roles.others])
    return roles


def _find_time(roles: Roles, has_names: bool) -> None:
    def rank(name: str) -> tuple[bool, bool, bool, int]:
        found = name_rank(name, TIMESTAMP)
        return is_of_others(name), found is None, forms[name].is_day, found or 0

    columns = [column for column in roles.others.values() if not column.is_nested]
    known = {column.name: form for column in columns if (form := guess_time(column))}
    forms = {
        name: form for name, form in known.items() if name_rank(name, TIMESTAMP) is not None or not has_names or form.unit in ("", "iso")
    }
    forms = forms or {column.name: form for column in columns if is_clock(column.name) and (form := guess_counter(column))}
    if not forms:
        return
    first, *more = sorted(forms, key=rank)
    roles.time = forms[first]
    roles.give(TIMESTAMP, roles.others[first], f"{roles.time.reason}{_choices(more)}")
    clocks = [(column, clock) for column in roles.others.values() if (clock := clock_format(column))]
    if clocks and roles.time.is_day and not roles.columns[TIMESTAMP].is_moment:
        roles.clock = clocks[0]
        del roles.others[clocks[0][0].name]


def _find_impressions(roles: Roles) -> None:
    for column in list(roles.others.values()):
        if form := labelled_items(column):
            roles.impressions = column, form
            del roles.others[column.name]
            return


def _find_label(roles: Roles, names: list[str]) -> None:
    """Takes the column whose values are those of a label, out of some; usual names come first."""
    forms = {name: form for name in names if (form := guess_label(roles.others[name]))}
    if not forms:
        return
    ranks = {name: _NO_RANK if (rank := name_rank(name, LABEL)) is None else rank for name in forms}
    first, *more = sorted(forms, key=lambda name: ranks[name])
    roles.label = forms[first]
    reason = _BY_NAME if ranks[first] < _NO_RANK else "by its values"
    roles.give(LABEL, roles.others[first], f"{reason}; {roles.label.reason}{_choices(more)}")


def _find_by_name(roles: Roles, role: str) -> None:
    ranked = [(rank, name) for name, column in roles.others.items() if _is_id(column) and (rank := name_rank(name, role)) is not None]
    if not ranked and (role == USER or (role == ITEM and USER in roles.columns)):
        is_usual = is_unique_id if role == USER else is_bare_id
        ranked = [(0, name) for name, column in roles.others.items() if is_usual(name) and _repeats(column)]
    if not ranked:
        return
    (_, first), *more = sorted(ranked, key=lambda pair: pair[0])
    column = roles.others[first]
    if role == REQUEST and not roles.impressions and not (_repeats(column) and len(column.different) > 1):
        return  # no two rows were shown together, or all
    roles.give(role, column, f"{_BY_NAME}; {_counted(column)}{_choices([name for _, name in more])}")


def _find_by_values(roles: Roles) -> None:
    """Finds user and item where no name tells them: ids that repeat, the user first."""
    for role in (USER,) if roles.impressions else (USER, ITEM):
        if role in roles.columns:
            continue
        if role == USER and REQUEST in roles.columns and _repeats(roles.columns[REQUEST]):
            session = roles.columns.pop(REQUEST)
            roles.columns[USER], roles.reasons[USER] = session, f"no column is called a user, so the session is one; {_counted(session)}"
            continue
        found = [column for column in roles.others.values() if _is_id(column) and _repeats(column) and len(column.different) > 1]
        if found:
            first, *more = found
            reason = "no name tells it; the first column whose values repeat"
            roles.give(role, first, f"{reason}; {_counted(first)}{_choices([column.name for column in more])}")


def _find_category(roles: Roles) -> None:
    """Finds a column that has one value for each item, and fewer values than there are items."""
    if ITEM not in roles.columns or CATEGORY in roles.columns:
        return
    item = roles.columns[ITEM]
    for column in roles.others.values():
        if _is_id(column) and 1 < len(column.different) < len(item.different) and _depends(column, item):
            roles.give(CATEGORY, column, f"each item has one value of it; {_counted(column)}")
            return


def _depends(column: Column, item: Column) -> bool:
    found: dict[str, set[str]] = defaultdict(set)
    for key, value in zip(item.values, column.values, strict=True):
        found[str(key)].add(str(value))
    return all(len(values) == 1 for values in found.values()) and len(found) < len(item.values)


def _is_id(column: Column) -> bool:
    """Whether the values can be ids: whole numbers, or short texts."""
    if column.is_nested or column.is_moment or len(column.texts) < _LEAST_PRESENT * len(column.values):
        return False
    if column.numbers is not None:
        return column.is_whole
    if bracketed_lists(column):
        return False
    return not column.is_long_text and not is_history(column.name)


def _repeats(column: Column) -> bool:
    return len(column.different) < _MOST_DIFFERENT * len(column.texts)


def _counted(column: Column) -> str:
    return f"{len(column.different):,} different values, such as {', '.join(map(quoted, column.examples))}"


def _choices(names: list[str]) -> str:
    return f"; other choices: {', '.join(map(quoted, names))}" if names else ""
