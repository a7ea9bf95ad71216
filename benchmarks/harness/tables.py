"""A table, defined once: the terminal and the published pages show the same text."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Named columns and lines of text."""

    title: str
    headers: tuple[str, ...]
    lines: Sequence[Sequence[str]]
    note: str = ""
    """How to read it; shown below."""

    def __str__(self) -> str:
        """Return title, table and note as Markdown whose columns are aligned, so that it reads in a
        terminal too."""
        parts = [f"**{self.title}**", markdown(self.headers, self.lines), self.note]
        return "\n\n".join(part for part in parts if part)


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
