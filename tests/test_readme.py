"""The README: its code runs as written, what it points at is there, its commands exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


@pytest.mark.torch
def test_its_code_runs_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["z"].shape == (12,)
    assert names["picture"].shape == (64, 64, 3)
    assert names["agent"].num_timesteps >= 4_000


def test_what_it_points_at_is_there():
    paths = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT) + re.findall(
        r"`((?:benchmarks|gw_\w+|assets)/[\w./]*)`", TEXT
    )
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"python (?:-m )?((?:benchmarks/|gw_agents\.)[\w./]+)", TEXT)))
)
def test_its_commands_exist(command):
    path = command if command.endswith(".py") else command.replace(".", "/") + ".py"
    assert "__main__" in (ROOT / path).read_text()


@pytest.mark.torch
def test_its_figures_are_those_of_the_committed_summaries():
    from benchmarks.publish.front_page import HEADLINES, fill

    assert fill(TEXT) == TEXT
    assert all(headline.text in TEXT for headline in HEADLINES)


def test_it_is_short():
    assert len(TEXT.encode()) <= 9_000


def test_every_page_can_be_reached_from_it():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for link in re.findall(r"\]\((?!https?:)([^)#]+\.md)[^)]*\)", page.read_text()):
            waiting.append((page.parent / link).resolve())
    pages = set((ROOT / "docs").rglob("*.md"))
    assert pages - reached == set()
