"""``formarium site``: pages that stand by themselves, drawn from cards and records."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from formarium.lab.record import Record, largest, records
from formarium.papers import cards

Run = Callable


def a_record() -> Record:
    return next(r for r in records(paper="polycom") if r.claim == "represents-powers")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site of two papers: drawing all records takes seconds."""
    chosen = tuple(card for card in cards() if card.slug in ("polycom", "attention-svm"))
    monkeypatch.setattr("formarium.site.pages.cards", lambda: chosen)


@pytest.mark.usefixtures("few")
def test_a_page_for_every_paper_and_links_that_lead_somewhere(run: Run, tmp_path: Path) -> None:
    done = run("site", "--out", tmp_path / "site")
    assert done.status == 0
    assert done.out.startswith("3 pages: ")
    pages = {path.name: path.read_text("utf-8") for path in (tmp_path / "site").glob("*.html")}
    assert set(pages) == {"index.html", "polycom.html", "attention-svm.html"}
    for name, page in pages.items():
        for link in re.findall(r'(?:href|src)="([^"]+)"', page):
            where, _, anchor = link.partition("#")
            if not link.startswith("https://"):
                assert (tmp_path / "site" / (where or name)).exists(), link
                assert not anchor or f'id="{anchor}"' in page, link
    assert "PolyReLU represents ReLU" in pages["polycom.html"]
    assert a_record().sentence in pages["polycom.html"]
    assert "not built" in pages["attention-svm.html"]


@pytest.mark.usefixtures("few")
def test_own_records_take_the_place_of_published_ones_and_the_site_is_written_again(run: Run, tmp_path: Path) -> None:
    replace(a_record(), verdict="refuted", sentence="It is <not> so here.").save(tmp_path / "mine")
    for _ in range(2):
        assert run("site", "--out", tmp_path / "site", "--records", tmp_path / "mine").status == 0
    page = (tmp_path / "site" / "polycom.html").read_text("utf-8")
    assert "It is &lt;not&gt; so here." in page
    assert a_record().sentence not in page


def test_a_folder_of_something_else_is_left_alone(refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("my own page")
    assert "holds something that is not a site of formarium" in refused("site", "--out", tmp_path)
    assert (tmp_path / "index.html").read_text() == "my own page"
    assert "there is no folder of records" in refused("site", "--out", tmp_path / "x", "--records", tmp_path / "none")
    assert not (tmp_path / "x").exists()


def test_the_largest_scale_speaks_for_a_claim() -> None:
    one = a_record()
    found = largest([replace(one, scale=scale) for scale in ("laptop", "paper", "demo", "gpu")])
    assert [record.scale for record in found.values()] == ["paper"]
