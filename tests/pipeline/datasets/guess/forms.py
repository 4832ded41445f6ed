"""Small invented logs in the forms that people have, each with 30 users, for tests of `--guess`."""

import json
import random
from datetime import datetime, timedelta
from pathlib import Path

_NUMBERS = random.Random(0)
_USERS = 30


def _rows(header: str, row, size: int = 8) -> str:
    """A header ("": none) and `size` rows for each user, made by `row(user, place)`."""
    lines = [header] * bool(header) + [row(user, place) for user in range(_USERS) for place in range(size)]
    return "\n".join(lines) + "\n"


def _one(*values):
    return _NUMBERS.choice(values)


def _item(user: int, place: int) -> int:
    return (user * 3 + place) % 25


def quoted_lines() -> str:
    """Case 1: a quoted text over two lines."""
    return _rows("user,item,review", lambda u, i: f"u{u},i{_item(u, i)}," + _one("ok", '"nice,\nwell, made, really"'))


def lists_as_text() -> str:
    """Case 2: a list as pandas writes it."""

    def row(user: int, place: int) -> str:
        return f'{user},{_item(user, place)},{place % 2},{1600000000 + user * 100 + place},"{[_item(user, k) for k in range(1, place, 2)]}"'

    return _rows("user,item,label,ts,hist", row)


def days() -> str:
    """Case 5: a clock of days, and clicks alone."""
    return _rows("user_id,item_id,day", lambda u, i: f"{u},{_item(u, i)},2016-05-{1 + u % 9 + i // 4:02d}")


def headerless() -> str:
    """User, item, category, behaviour and unix seconds, as in UserBehavior.csv."""

    def row(user: int, place: int) -> str:
        item = _item(user, place)
        return f"{user},{1000 + item},{item % 5},{_one('pv', 'pv', 'buy', 'cart')},{1511539200 + user * 50 + place}"

    return _rows("", row)


def tabs_with_quotes() -> str:
    """Case 9: quotes that enclose nothing, and unix milliseconds."""
    titles = ('5" disk', '"quote', "plain")
    return _rows(
        "user_id\titem_id\ttitle\tclicked\ttime",
        lambda u, i: f"u{u}\ti{_item(u, i)}\t{_one(*titles)}\t{(u + i) % 2}\t{1600000000000 + u * 1000 + i * 60000}",
    )


def behaviors() -> str:
    """Case 7: MIND's behaviors.tsv; a row is a request, with the history and the candidates in one cell each."""

    def row(user: int, place: int) -> str:
        time = datetime(2019, 11, 11) + timedelta(minutes=user * 7 + place * 400)
        clock = f"{time.month}/{time.day}/{time.year} {time:%I:%M:%S %p}"
        history = " ".join(f"N{_item(user, k)}" for k in range(place))
        shown = " ".join(f"N{_item(user, place + k)}-{int(k == place % 3)}" for k in range(3))
        return f"{user * 8 + place + 1}\tU{user}\t{clock}\t{history}\t{shown}"

    return _rows("", row)


def click_log_page() -> str:
    """The log of docs/click-log.md, smaller."""

    def row(user: int, place: int) -> str:
        time, ad = datetime(2026, 1, 1) + timedelta(minutes=user * 7 + place * 100), _NUMBERS.randrange(64)
        age = ("under 30", "30 to 60", "over 60", "")[user % 4]
        return f"{time.isoformat()},{user},{ad},category {ad % 8},{_one('click', 'view')},{age},{time.hour}"

    return _rows("time,visitor,ad,ad_category,event,age,hour", row, 20)


def chinese() -> str:
    """Names and values in Chinese, for GBK."""
    return _rows(
        "用户,商品,城市,时间,点击", lambda u, i: f"张{u},手机{_item(u, i)},{_one('北京', '上海')},{1600000000 + u * 77 + i},{(u + i) % 2}"
    )


def swedish() -> str:
    """Semicolons, ratings to 10, and NA for a missing city."""
    return _rows("user;item;city;rating", lambda u, i: f"u{u};i{_item(u, i)};{_one('Malmö', 'Göteborg', 'NA')};{_NUMBERS.randrange(11)}")


def json_lines() -> str:
    """JSON with lists, -1 for a missing age, NULL for a missing gender, and unix milliseconds."""

    def row(user: int, place: int) -> str:
        values = {"uid": user, "newsId": f"n{_item(user, place)}", "is_click": (user + place) % 3 == 0, "tags": {"a": 1}}
        values |= {"click_history": [f"n{_item(user, k)}" for k in range(place)], "ts": 1600000000000 + user * 1000 + place}
        return json.dumps(values | {"age": _one(-1, 20, 30, 25.0), "gender": _one("M", "F", "NULL")})

    return _rows("", row)


def recbole() -> str:
    """An atomic file of RecBole."""
    return _rows(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float",
        lambda u, i: f"{u}\t{_item(u, i)}\t{_NUMBERS.randrange(1, 6)}\t{880000000 + u * 1000 + i}",
    )


def two_colons() -> str:
    """MovieLens 1M's ratings.dat: `::`, no header."""
    return _rows("", lambda u, i: f"{u + 1}::{_item(u, i)}::{_NUMBERS.randrange(1, 6)}::{978300000 + u * 99 + i}")


def hours() -> str:
    """Hours as figures, a row's number, and a column that is always the same, as in Avazu's log."""
    return _rows(
        "id,click,hour,C1,banner_pos,site_id,device_id",
        lambda u, i: f"{10**18 + u * 8 + i},{(u + i) % 2},141021{i:02d},1005,{i % 2},site{_item(u, i)},device{u}",
    )


def day_and_time() -> str:
    """A column for the day and one for the time of day, bars between values, and a file name that does not tell the format."""
    actions = ("impression", "click", "unknown")
    return _rows(
        "customer|sku|date|time|action",
        lambda u, i: f"c{u}|s{_item(u, i)}|2020-07-{1 + i * 3:02d}|{u % 24:02d}:{i:02d}:00|{actions[(u + i) % 3]}",
    )


def escapes() -> str:
    """Quotes in quoted values, with a backslash before them."""
    return _rows("user,item,title,label", lambda u, i: f'u{u},i{_item(u, i)},"a \\"b\\", {i}",{(u + i) % 2}')


FORMS = {
    "quoted.csv": (quoted_lines, "utf-8"),
    "lists.csv": (lists_as_text, "utf-8"),
    "days.csv": (days, "utf-8"),
    "headerless.csv": (headerless, "utf-8"),
    "tabs.tsv": (tabs_with_quotes, "utf-8"),
    "behaviors.tsv": (behaviors, "utf-8"),
    "clicks.csv": (click_log_page, "utf-8"),
    "chinese.csv": (chinese, "gb18030"),
    "swedish.csv": (swedish, "latin-1"),
    "wide.csv": (swedish, "utf-16"),
    "log.jsonl": (json_lines, "utf-8"),
    "ml.inter": (recbole, "utf-8"),
    "ratings.dat": (two_colons, "utf-8"),
    "hours.csv": (hours, "utf-8"),
    "days.txt": (day_and_time, "utf-8"),
    "escapes.csv": (escapes, "utf-8"),
}


def written(folder: Path, name: str) -> Path:
    """Writes the log of a form to a folder, in its encoding."""
    make, encoding = FORMS[name]
    path = folder / name
    path.write_bytes(make().encode(encoding))
    return path
