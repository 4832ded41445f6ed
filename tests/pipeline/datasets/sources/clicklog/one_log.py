"""One click log, which tests write in every format, with its mapping and the rows that are read from it."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = """
[columns]
user_id = "uid"
candidate_item_id = "ad"
candidate_category_id = "cate"
timestamp = "ts"
request_id = "req"
label = "clk"
age_group = "age"
price = "price"

[types]
user_id = "int64"
price = "float"

[timestamp]
unit = "ms"

[histories]
historical_item_ids = { column = "his", separator = "^" }
"""
LOG = [
    {"uid": 7, "ad": "a1", "cate": "c", "ts": 1_500_000_000_999, "req": "r1", "clk": 1, "age": "é", "price": 1.5, "his": ["a2", "a3"]},
    {"uid": 0, "ad": "a2", "cate": None, "ts": 1_400_000_000_000, "req": "r1", "clk": 0, "age": None, "price": None, "his": []},
]
ROWS = [
    {
        "user_id": 7,
        "candidate_item_id": b"a1",
        "candidate_category_id": b"c",
        "timestamp": 1_500_000_000,
        "request_id": b"r1",
        "label": 1,
        "age_group": "é".encode(),
        "price": 1.5,
        "historical_item_ids": [b"a2", b"a3"],
    },
    {
        "user_id": 0,
        "candidate_item_id": b"a2",
        "candidate_category_id": b"(unknown)",
        "timestamp": 1_400_000_000,
        "request_id": b"r1",
        "label": 0,
        "age_group": None,
        "price": None,
        "historical_item_ids": [],
    },
]
PLAIN = '[columns]\nuser_id = "uid"\ncandidate_item_id = "ad"\n'

Rows = list[dict[str, Any]]


def write_csv(path: Path, log: Rows, separator: str = ",") -> None:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(log[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows([{k: "^".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in log])


def write(path: Path, log: Rows) -> Path:
    """Writes a log in the format of the suffix."""
    suffix = path.name.removesuffix(".gz").rpartition(".")[2]
    if suffix in ("csv", "tsv"):
        write_csv(path, log, "\t" if suffix == "tsv" else ",")
    elif suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(log), path)
    else:
        text = "".join(json.dumps(row) + "\n" for row in log).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path
