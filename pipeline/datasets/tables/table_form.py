"""How a table is written: its format, the characters of CSV, its encoding and whether it has a header."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from components.base.errors import InputError

Format = Literal["csv", "json", "parquet"]
_FORMATS: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
_COMPRESSED = (".gz", ".bz2", ".zst")
KINDS = ".csv, .tsv, .jsonl or .json (each also with .gz, .bz2 or .zst), or .parquet"


@dataclass(frozen=True)
class TableForm:
    r"""How a table is written.

    Attributes:
        format: None: by the suffix of the file's name.
        separator: Between the values of CSV. "": a comma, or a tab where the name ends in .tsv. A separator of several bytes, such as "::",
            switches quotes off.
        encoding: Of CSV and JSON.
        quote: The character around values of CSV that hold a separator or a line end; "": there is none.
        escape: The character before a quote, separator or line end that belongs to the value, e.g. "\\"; "": there is none.
        header: Whether the first row of CSV has the names of the columns.
        names: The names of the columns of CSV without a header. Empty: "1", "2", … by place.
    """

    format: Format | None = None
    separator: str = ""
    encoding: str = "utf-8"
    quote: str = '"'
    escape: str = ""
    header: bool = True
    names: tuple[str, ...] = ()

    def format_of(self, path: Path) -> Format:
        """Returns the format of a file.

        Raises:
            InputError: It is not given, and the name does not tell it.
        """
        found = self.format or _FORMATS.get(_suffix(path))
        if found is None:
            raise InputError(
                f"{path} is not a kind of table that its name shows: its name must end in {KINDS}. "
                "Of a click log, files.format in the mapping can say the format of any name."
            )
        return found

    def separator_of(self, path: Path) -> str:
        """Returns the separator of a file of CSV."""
        return self.separator or ("\t" if _suffix(path) == ".tsv" else ",")


def is_table(path: Path) -> bool:
    """Whether the suffix is one of `KINDS`."""
    return _suffix(path) in _FORMATS


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return Path(name).suffix
