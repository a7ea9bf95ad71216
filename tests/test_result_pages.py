"""The published result pages: equal to what the committed summaries give, and complete."""

import re

import pytest

from benchmarks.publish.result_pages import BENCHMARKS, PAGES, index, render

EVERY = pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)


@EVERY
def test_the_page_is_that_of_the_committed_summary(benchmark):
    assert (PAGES / f"{benchmark.name}.md").read_text() == render(benchmark)


def test_the_index_is_that_of_the_committed_summaries():
    assert (PAGES / "README.md").read_text() == index()


@EVERY
def test_a_page_opens_with_its_claim_in_one_sentence(benchmark):
    title, claim = render(benchmark).split("\n\n")[:2]
    assert title.startswith("# ")
    assert "\n" not in claim
    assert claim.endswith(".")
    assert re.search(r"\d", claim)
    assert not re.search(r"[.] [A-Z]", claim)


@EVERY
def test_what_a_page_points_at_is_there(benchmark):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", render(benchmark))
    assert links
    assert [link for link in links if not (PAGES / link).exists()] == []
