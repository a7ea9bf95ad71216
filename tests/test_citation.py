"""`CITATION.cff` and `docs/citing.md` cite the same works."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "citing.md").read_text(encoding="utf-8")


def test_both_files_cite_the_same_works():
    titles = [work["title"] for work in [CITATION, *CITATION["references"]]]
    assert re.findall(r"^  title\s+= \{(.+)\},$", PAGE, re.MULTILINE) == titles
    for key in ("doi", "url"):
        values = [work[key] for work in CITATION["references"] if key in work]
        assert re.findall(rf"^  {key}\s+= {{(.+)}},$", PAGE, re.MULTILINE) == values


def test_the_version_is_the_packages():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{CITATION["version"]}"' in project
    assert f"version = {{{CITATION['version']}}}" in PAGE
