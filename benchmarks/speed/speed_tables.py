"""Tables of the speed benchmarks."""

from rich.table import Table


def labelled_table(title: str, columns: list[str], rows: dict[str, list[str]]) -> Table:
    """Returns a table whose first column, without a heading, holds the keys of `rows`."""
    table = Table("", *columns, title=title, title_justify="left")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table
