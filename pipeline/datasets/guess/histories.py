"""Finds columns that hold what a user did before, as lists, among those without a role."""

from typing import NamedTuple

from din_trainer.features import HISTORICAL_TIMESTAMPS
from pipeline.datasets.guess.column import Column
from pipeline.datasets.guess.draft import quoted
from pipeline.datasets.guess.lists import ListForm, bracketed_lists, nested_lists, separated_lists
from pipeline.datasets.guess.names import is_history, is_list_of
from pipeline.datasets.guess.roles import Roles
from pipeline.datasets.guess.times import guess_time
from pipeline.datasets.sources.interactions import CATEGORY, ITEM

_ITEMS, _CATEGORIES = "historical_item_ids", "historical_category_ids"
_KNOWN = 0.5  # of the values are items: then a column of lists is a history, whatever its name …
_KNOWN_PARTS = 0.9  # … and so is a column of texts, whose parts are values only by this guess


class History(NamedTuple):
    """A column with histories, how its lists are written, and why it is one."""

    column: Column
    form: ListForm
    reason: str


def find_histories(roles: Roles) -> dict[str, History]:
    """Returns the histories by feature, and takes their columns from those without a role."""
    found: dict[str, History] = {}
    for column in list(roles.others.values()):
        for feature, history in _readings(column, roles):
            if feature not in found and (feature != _CATEGORIES or CATEGORY in roles.columns):
                found[feature] = history
                del roles.others[column.name]
                break
    return found


def _readings(column: Column, roles: Roles) -> list[tuple[str, History]]:
    """Returns what a column can be, the most likely reading first."""
    by_name, least = is_history(column.name), _KNOWN_PARTS
    certain = nested_lists(column) or bracketed_lists(column)
    if certain:
        forms, least = [certain], _KNOWN
    else:
        forms = separated_lists(column)
    found = []
    for form in forms:
        categories = roles.columns[CATEGORY].different.keys() if CATEGORY in roles.columns else set()
        shares = {_ITEMS: form.known_share(roles.items), _CATEGORIES: form.known_share(categories)}
        if is_list_of(column.name, CATEGORY) and not is_list_of(column.name, ITEM):
            del shares[_ITEMS]  # numbers of categories can be numbers of items too
        feature = max(shares, key=lambda name: shares[name])
        if by_name and guess_time(Column("", list(form.values))):
            found.append((HISTORICAL_TIMESTAMPS, 1.0, form))
        elif shares[feature] >= least or by_name:
            found.append((feature, shares[feature], form))
    found.sort(key=lambda reading: -reading[1])
    return [(feature, History(column, form, _reason(feature, share, form, by_name))) for feature, share, form in found]


def _reason(feature: str, share: float, form: ListForm, by_name: bool) -> str:
    parts = ["by its name"] if by_name else []
    if feature != HISTORICAL_TIMESTAMPS:
        parts.append(f"{share:.0%} of its values are {'categories' if feature == _CATEGORIES else 'items'} of these rows")
    if form.is_bracketed:
        parts.append("lists as text with brackets")
    longest = max(form.lists, key=len, default=[])
    return f"{'; '.join(parts)}; for example {', '.join(map(quoted, longest[:3]))}"
