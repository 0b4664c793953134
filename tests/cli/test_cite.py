"""``formarium cite``: BibTeX by paper or by part."""

import re
from collections.abc import Callable

from formarium.papers import cards


def test_papers_and_parts_are_cited_once_each(run: Callable) -> None:
    done = run("cite", "polycom", "CARoPE", "PolyNorm", "carope")
    assert (done.status, done.err) == (0, "")
    assert re.findall(r"@\w+\{(\w+)\d{4},", done.out) == ["polycom", "carope"]
    assert done.out.count("{") == done.out.count("}")


def test_every_paper_can_be_cited(run: Callable) -> None:
    done = run("cite", *(card.slug for card in cards()))
    assert done.status == 0
    keys = re.findall(r"@\w+\{([^,]+),", done.out)
    assert len(keys) == len(set(keys)) == len(cards())
    assert all(card.arxiv in done.out for card in cards() if card.arxiv)


def test_what_nobody_wrote(refused: Callable[..., str]) -> None:
    assert refused("cite", "polycom", "PolyNrm") == (
        "error: no paper or part is called 'PolyNrm'; did you mean 'PolyNorm'?"
    )


def test_models_and_slugs_in_whatever_case_are_found(run: Callable) -> None:
    assert run("cite", "CAT").out == run("cite", "LinkPredictor").out == run("cite", "cat").out


def test_a_part_of_no_paper_on_the_list_names_its_source(refused: Callable[..., str]) -> None:
    message = refused("cite", "ALiBi")
    assert message.startswith("error: ALiBi is of no paper on the list")
    assert "arXiv 2108.12409" in message
