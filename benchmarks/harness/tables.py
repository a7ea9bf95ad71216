"""A table, defined once: the terminal and the published pages show the same text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.harness.rows import Row


@dataclass(frozen=True)
class Table:
    """Named columns and lines of text."""

    title: str
    headers: tuple[str, ...]
    lines: Sequence[Sequence[str]]
    note: str = ""
    """How to read it; shown below."""

    def __str__(self) -> str:
        """Return title, table and note as Markdown with aligned columns, readable in a terminal."""
        parts = [f"**{self.title}**", markdown(self.headers, self.lines), self.note]
        return "\n\n".join(part for part in parts if part)


def mean_table(
    title: str,
    headers: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Row],
    place: Callable[[Row], tuple[tuple[str, ...], str]],
) -> Table:
    """Return a table of means in percent over the rows that fall into the same line and column.

    Args:
        title: its title.
        headers: names of the columns that identify a line.
        columns: names of the columns of means.
        rows: rows to average.
        place: row -> (identity of its line, name of its column). Lines are grouped by all of their
            identity but the last entry.
    """
    groups: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for row in rows:
        line, column = place(row)
        groups.setdefault(line, {name: [] for name in columns})[column].append(row.measured)
    order = list(dict.fromkeys(line[:-1] for line in groups))
    lines = []
    for line in sorted(groups, key=lambda line: order.index(line[:-1])):
        means = [f"{np.mean(values):.1%}" if values else "" for values in groups[line].values()]
        lines.append((*line, *means))
    return Table(title, (*headers, *columns), lines)


def markdown(headers: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    cells = [list(headers), *(list(line) for line in lines)]
    columns = list(zip(*cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    text = [_line(line, widths) for line in cells]
    text.insert(1, _line(["-" * width for width in widths], widths))
    return "\n".join(text)


def _line(entries: Sequence[str], widths: Sequence[int]) -> str:
    padded = [entry.ljust(width) for entry, width in zip(entries, widths, strict=True)]
    return f"| {' | '.join(padded)} |"
