"""Write `docs/results/*.md` from the committed summaries, so that nobody types a figure by hand.

    python -m benchmarks.publish.result_pages

The words of a page are in `pages/NAME.md`; the benchmark's own functions make its tables and the
figures that the words quote. Those of a part are named after it, such as `{captions_tables}`.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from benchmarks.agents.control import CONTROL
from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import EXPECTED
from benchmarks.harness.rows import Row, read_summary
from benchmarks.harness.weights import outdated_note
from benchmarks.latents.report import DOMAINS
from benchmarks.noise.robustness import NOISE_ROBUSTNESS
from benchmarks.pairs.classification import CLASSIFICATION
from benchmarks.pairs.odd_one_out import ODD_ONE_OUT
from benchmarks.pairs.translation import TRANSLATION
from benchmarks.shipped.captions import CAPTIONS
from benchmarks.speed.throughput import THROUGHPUT
from gw_agents.command import run_command
from gw_envs.files import write_atomically

TEMPLATES = Path(__file__).parent / "pages"
PAGES = EXPECTED.parents[1] / "docs" / "results"
BENCHMARKS: tuple[Benchmark, ...] = (
    NOISE_ROBUSTNESS,
    CONTROL,
    TRANSLATION,
    CLASSIFICATION,
    ODD_ONE_OUT,
    DOMAINS,
    THROUGHPUT,
)
"""Every benchmark that has a page, in the order of the index."""

PARTS: dict[str, tuple[Benchmark, ...]] = {TRANSLATION.name: (CAPTIONS,)}
"""Benchmarks without a page of their own, by the page on which their tables are."""


def render(benchmark: Benchmark, folder: Path = EXPECTED) -> str:
    """Return a benchmark's page, from the summary in `folder` and those of its parts."""
    words = page_parts(benchmark, folder, "## How to reproduce it")
    for part in PARTS.get(benchmark.name, ()):
        of_part = page_parts(part, folder, "### How to reproduce it")
        if note := note_of(part, folder):
            of_part["tables"] = f"{note}\n\n{of_part['tables']}"
        words |= {f"{part.name}_{name}": text for name, text in of_part.items()}
    text = (TEMPLATES / f"{benchmark.name}.md").read_text().format(**words)
    note = note_of(benchmark, folder)
    if not note:
        return text
    new = [part.name for part in PARTS.get(benchmark.name, ()) if not note_of(part, folder)]
    if new:
        note += f" Those of {' and '.join(new)} are new."
    title, claim, rest = text.split("\n\n", 2)
    return "\n\n".join((title, claim, note, rest))


def note_of(benchmark: Benchmark, folder: Path) -> str:
    """Return what a reader must know of the weights behind a summary; "" if they are the shipped
    ones."""
    head, rows = read_summary(benchmark.name, folder)
    return outdated_note(head, {row.scene for row in rows})


def page_parts(benchmark: Benchmark, folder: Path, heading: str) -> dict[str, str]:
    """Return what a benchmark fills into a page: quoted figures, `tables` and `reproduce`."""
    head, rows = read_summary(benchmark.name, folder)
    tables = "\n\n".join(str(table) for table in benchmark.tables(rows))
    commands = reproduce(head, rows, heading)
    return {**benchmark.quoted(rows), "tables": tables, "reproduce": commands}


def reproduce(head: dict[str, Any], rows: Sequence[Row], heading: str) -> str:
    """Say which commands measured the rows, with how many seeds and which versions."""
    counts = sorted({row.n_seeds for row in rows})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    redrawn = "; ".join(dict.fromkeys(row.seed_redraws for row in rows if row.n_seeds > 1))
    commands = head["command"].replace(" && ", "\n")
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    file = f"benchmarks/expected/{head['benchmark']}.json"
    return f"""\
{heading}

```bash
{commands}
```

Seeds: {number}. What differs from seed to seed: {redrawn}. Intervals are 95 % bootstrap intervals
over seeds; with fewer than five seeds, and for speeds, they are the range.

Measured with {versions}. All rows: [`{file}`](../../{file}).
"""


def index() -> str:
    """Return the page that lists all pages with their claims."""
    lines = ["# Results\n", "Every page is generated from the committed summaries.\n"]
    for benchmark in BENCHMARKS:
        title, claim, note = render(benchmark).split("\n\n")[:3]
        mark = " (not yet recomputed)" if note.startswith("> **Not yet") else ""
        lines.append(f"- [{title.removeprefix('# ')}]({benchmark.name}.md){mark}: {claim}")
    return "\n".join(lines) + "\n"


def main(out: Path = PAGES) -> None:
    """Write every page and the index into `out`."""
    pages = {f"{benchmark.name}.md": render(benchmark) for benchmark in BENCHMARKS}
    for name, text in {**pages, "README.md": index()}.items():
        write_atomically(out / name, partial(Path.write_text, data=text))
        print(f"written: {out / name}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main, description=__doc__))
