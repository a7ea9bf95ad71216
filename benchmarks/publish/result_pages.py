"""Write `docs/results/*.md` from the committed summaries, so that nobody types a figure by hand.

python -m benchmarks.publish.result_pages
"""

from functools import partial
from pathlib import Path

import tyro

from benchmarks.harness.benchmark import Benchmark
from benchmarks.harness.cells import EXPECTED
from benchmarks.harness.rows import Row, read_summary
from benchmarks.pairs.odd_one_out import ODD_ONE_OUT
from gw_agents.command import run_command
from gw_envs.files import write_atomically

PAGES = EXPECTED.parents[1] / "docs" / "results"
PICTURES = "../../benchmarks/expected"
"""The committed pictures, seen from a page."""
BENCHMARKS: tuple[Benchmark, ...] = (ODD_ONE_OUT,)
"""Every benchmark that has a page, in the order of the index."""


def render(benchmark: Benchmark, folder: Path = EXPECTED) -> str:
    """Return a benchmark's page: claim, setup, tables, caveats, pictures, command and seeds."""
    head, rows = read_summary(benchmark.name, folder)
    page = benchmark.page(rows)
    parts = [f"# {page.title}", page.claim, page.setup]
    parts += [str(table) for table in benchmark.tables(rows)]
    if page.caveats:
        parts += ["## Caveats", "\n".join(f"- {caveat}" for caveat in page.caveats)]
    parts += [f"![{text}]({PICTURES}/{name}.png)" for name, text in page.pictures.items()]
    commands = head["command"].replace(" && ", "\n")
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    parts += ["## How to reproduce it", f"```bash\n{commands}\n```", seeds(rows)]
    parts += [
        f"Measured with {versions}. All rows:"
        f" [`benchmarks/expected/{benchmark.name}.json`]({PICTURES}/{benchmark.name}.json)."
    ]
    return "\n\n".join(parts) + "\n"


def seeds(rows: list[Row]) -> str:
    """Say how many seeds there are, what a seed redraws, and what the intervals are."""
    counts = sorted({row.n_seeds for row in rows})
    redrawn = list(dict.fromkeys(row.seed_redraws for row in rows))
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"Seeds: {number}. What differs from seed to seed: {'; '.join(redrawn)}. Intervals are 95 %"
        " bootstrap intervals of the mean over seeds; with fewer than five seeds, the range."
    )


def index(folder: Path = EXPECTED) -> str:
    """Return the page that lists all pages with their claims."""
    lines = ["# Results", "Every page is generated from the committed summaries."]
    for benchmark in BENCHMARKS:
        _, rows = read_summary(benchmark.name, folder)
        page = benchmark.page(rows)
        lines.append(f"- [{page.title}]({benchmark.name}.md): {page.claim}")
    return "\n\n".join(lines) + "\n"


def main(out: Path = PAGES) -> None:
    """Write every page and the index into `out`."""
    pages = {f"{benchmark.name}.md": render(benchmark) for benchmark in BENCHMARKS}
    for name, text in {**pages, "README.md": index()}.items():
        write_atomically(out / name, partial(Path.write_text, data=text))
        print(f"written: {out / name}")


if __name__ == "__main__":
    run_command(lambda: tyro.cli(main, description=__doc__))
