"""The pages of `docs`: their Python runs as written, and their links and commands exist.

A block is skipped where `<!-- not run: reason -->` stands on the line before it.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n\s*)?```python\n(?P<code>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


def blocks(page: str) -> list[str]:
    """Return the code of the Python blocks to run.

    Each begins with as many empty lines as the page has lines before it.
    """
    matches = [match for match in BLOCK.finditer(page) if match["reason"] is None]
    return ["\n" * page[: match.start("code")].count("\n") + match["code"] for match in matches]


def test_blocks_by_hand():
    skipped = "<!-- not run: no display -->\n```python\nbroken(\n```\n"
    page = f"a\n```python\nx = 1\n```\n{skipped}```bash\nls\n```\n"
    assert [block.strip() for block in blocks(page + "```python\ny = x\n```\n")] == [
        "x = 1",
        "y = x",
    ]
    # The page's third line stays the third, so that errors name the right one.
    assert blocks(page)[0].split("\n")[2] == "x = 1"


@pytest.mark.torch
@pytest.mark.parametrize("name", PAGES)
def test_its_code_runs_as_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks(PAGES[name]):
        exec(compile(block, f"docs/{name}", "exec"), names)


@pytest.mark.parametrize("name", PAGES)
def test_what_it_points_at_is_there(name):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGES[name])
    paths = re.findall(r"`((?:benchmarks|docs|examples|gw_\w+|assets)/[\w./]*)`", PAGES[name])
    assert [path for path in links if not (ROOT / "docs" / path).exists()] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_its_commands_exist(name):
    commands = set(
        re.findall(r"python (?:-m )?((?:benchmarks/|examples/|gw_agents\.)[\w./]+)", PAGES[name])
    )
    for command in commands:
        path = command if command.endswith(".py") else command.replace(".", "/") + ".py"
        assert "__main__" in (ROOT / path).read_text(), command
