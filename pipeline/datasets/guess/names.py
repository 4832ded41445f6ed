"""What the names of columns usually mean: users, items, categories, labels, times, requests, histories."""

import re

from pipeline.datasets.sources.interactions import CATEGORY, ITEM, LABEL, REQUEST, TIMESTAMP, USER

_ID_WORDS = {
    "id",
    "ids",
    "idx",
    "index",
    "no",
    "num",
    "number",
    "key",
    "code",
    "hash",
    "raw",
    "parent",
    "target",
    "candidate",
    "the",
    "is",
    "has",
}
_WORDS = {
    USER: "user uid u visitor customer member reviewer account profile person player reader listener client device msno 用户",
    ITEM: (
        "item iid i product asin article news movie video song track book isbn game ad adgroup creative banner goods sku content recipe "
        "business artist anime photo post feed poi hotel listing job course app site page doc document offer 商品 物品"
    ),
    CATEGORY: "category categories cat cate cid genre genres class topic section subcategory 类目 类别",
    LABEL: (
        "label click clicked clk event action behavior behaviour feedback response interaction rating stars star score overall "
        "purchase purchased conversion converted like liked y type 点击 标签"
    ),
    TIMESTAMP: "timestamp time ts datetime date day created stamp unix epoch hour dt dat t 时间",
    REQUEST: "request impression imp display session search srch query",
}
_BESIDE_TIME = (
    "event user unix review create created added updated at utc server local click view imp impression log request time date "
    "ms millis milliseconds s sec seconds us ns"
)
_CLOCK = {"timestamp", "time", "ts"}
_HISTORY = {"hist", "history", "historical", "histories", "seq", "sequence", "prev", "previous", "past", "recent"}
_OF_OTHERS = {
    "birth",
    "birthday",
    "release",
    "released",
    "register",
    "registered",
    "signup",
    "publish",
    "published",
    "join",
    "joined",
    "expire",
}
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
ROLES = tuple(_WORDS)


def words_of(name: str) -> list[str]:
    """Splits a name into words in lower case: "adgroupId" and "adgroup_id" into adgroup and id. RecBole's ":token" is left out."""
    return [word for part in _PART.findall(name.split(":")[0]) for word in _without_id(part.lower())]


def _without_id(word: str) -> list[str]:
    every = {each for words in _WORDS.values() for each in words.split()}
    return [word[:-2], "id"] if word not in every and word.endswith("id") and word[:-2] in every else [word]


def name_rank(name: str, role: str) -> int | None:
    """Returns how usual a name is for a role, 0 at best; None where it is not."""
    words = [word for word in words_of(name) if word not in _ID_WORDS]
    usual = _WORDS[role].split()
    if not words or _HISTORY & set(words):
        return None
    extra = set(usual)
    if role == TIMESTAMP:
        extra |= {*_BESIDE_TIME.split()}
    elif role == CATEGORY:
        extra |= {*_WORDS[ITEM].split(), "main", "first", "name"}
    elif role == LABEL and (words == ["type"] or set(words) & set(usual) - {"type"}):
        extra |= {*_WORDS[ITEM].split(), *_WORDS[USER].split(), "name", "category", "bool", "flag"}
    ranks = [usual.index(word) for word in words if word in usual]
    return min(ranks) if ranks and set(words) <= extra else None


def is_usual(name: str) -> bool:
    """Whether a text is a usual name of a column."""
    return is_history(name) or is_bare_id(name) or any(name_rank(name, role) is not None for role in ROLES)


def is_bare_id(name: str) -> bool:
    """Whether a name says only that the column holds an id."""
    return bool(words_of(name)) and set(words_of(name)) <= _ID_WORDS


def is_unique_id(name: str) -> bool:
    """Whether a name says that the id is unique everywhere; where it repeats, it is of a user."""
    return words_of(name) in (["uuid"], ["guid"])


def is_list_of(name: str, role: str) -> bool:
    """Whether a word of a name, in the singular, is usual for a role: "hist_cids" for categories."""
    return any(word in _WORDS[role].split() or word.removesuffix("s") in _WORDS[role].split() for word in words_of(name))


def is_history(name: str) -> bool:
    """Whether a name is usual for what a user did before."""
    return bool(_HISTORY & set(words_of(name)))


def is_clock(name: str) -> bool:
    """Whether a name is usual for the numbers of a clock."""
    return bool(_CLOCK & set(words_of(name))) and name_rank(name, TIMESTAMP) is not None


def is_of_others(name: str) -> bool:
    """Whether a time has a name which says that it is of the user or the item, such as a day of birth."""
    return bool(_OF_OTHERS & set(words_of(name)))
