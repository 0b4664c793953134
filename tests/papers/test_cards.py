"""The cards are complete, consistent and readable without torch, and every one of them can be cited."""

import importlib
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from formarium import papers
from formarium.errors import FormariumError
from formarium.lab.claim import Card

SLUGS = (
    "any2point",
    "attention-svm",
    "axformer",
    "axial",
    "carope",
    "cat",
    "cofrgenet",
    "combiner",
    "complexformer",
    "comrope",
    "condaformer",
    "coordformer",
    "drct",
    "duoformer",
    "flatformer",
    "gpsformer",
    "hc-inr",
    "inference-survey",
    "itransformer",
    "kernelized-rpe",
    "matformer",
    "metaformer",
    "mol-transformer",
    "polycom",
    "ppgt",
    "rope-bounds",
    "rst",
    "rtnet",
    "sample4geo",
    "three-phase",
    "ucpe",
    "unified-view",
    "urpe",
)
SLOTS = {
    "stem",
    "block",
    "position",
    "token mixer",
    "channel mixer",
    "norm",
    "head",
    "objective",
    "training",
    "data",
    "theory",
    "compression",
}
DOMAINS = {
    "bodies",
    "compression",
    "fields",
    "graphs",
    "images",
    "knowledge graphs",
    "language",
    "molecules",
    "points",
    "restoration",
    "retrieval",
    "systems",
    "theory",
    "time series",
    "video",
}

PLAIN = Card("two-words", "A Title", "2021-02-04", ("Ada Lovelace",), ("theory",), ("theory",), "", ())


def load(slug: str) -> Card:
    card = importlib.import_module(f"formarium.papers.{slug.replace('-', '_')}").CARD
    assert isinstance(card, Card)
    return card


def parse_bibtex(entry: str) -> tuple[str, str, dict[str, str]]:
    """Kind, key and fields of one entry; fails where the braces of the entry or of a value do not balance."""
    head = re.match(r"@(\w+)\{([^,\s{}]+),", entry)
    assert head, entry
    fields: dict[str, str] = {}
    at = head.end()
    while field := re.compile(r"\s*(\w+)\s*=\s*\{").match(entry, at):
        start = at = field.end()
        depth = 1
        while depth:
            assert at < len(entry), f"an open brace in {entry}"
            depth += {"{": 1, "}": -1}.get(entry[at], 0)
            at += 1
        assert field[1] not in fields
        fields[field[1]] = entry[start : at - 1]
        at += entry.startswith(",", at)
    assert entry[at:].strip() == "}", entry
    return head[1], head[2], fields


def test_every_paper_has_a_card_and_no_other_file_is_there() -> None:
    files = {path.stem for path in Path(papers.__file__).parent.glob("*.py")} - {"__init__"}
    assert {name for name in files if not name.startswith("_")} == {slug.replace("-", "_") for slug in SLUGS}


@pytest.mark.parametrize("slug", SLUGS)
def test_card(slug: str) -> None:
    card = load(slug)
    assert card.slug == slug
    assert card.title
    assert date.fromisoformat(card.date) <= date.today()
    assert 40 <= len(card.summary.split()) <= 160
    assert set(card.slots) <= SLOTS
    assert card.slots
    assert set(card.domains) <= DOMAINS
    assert card.domains
    assert len(set(card.authors)) == len(card.authors)
    assert not card.code or re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+(/tree/[\w./-]+)?", card.code)
    assert card.licence in ("", "none") or card.code


@pytest.mark.parametrize("slug", SLUGS)
def test_arxiv_number_belongs_to_the_date(slug: str) -> None:
    card = load(slug)
    if card.arxiv is None:
        assert card.url == ""
        return
    number = re.fullmatch(r"(\d\d)(\d\d)\.\d{4,5}", card.arxiv)
    assert number
    submitted = date.fromisoformat(card.date)
    # A paper sent in at the end of a month may get the next month's number.
    months = (2000 + int(number[1])) * 12 + int(number[2]) - submitted.year * 12 - submitted.month
    assert months in (0, 1)
    assert card.url.endswith(card.arxiv)


@pytest.mark.parametrize("slug", SLUGS)
def test_claims(slug: str) -> None:
    card = load(slug)
    keys = [claim.key for claim in card.claims]
    assert keys
    assert len(set(keys)) == len(keys)
    for claim in card.claims:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.key)
        assert claim.text.endswith(".")
        assert claim.source
        assert claim.kind in ("comparison", "scaling", "exact")
        assert card.claim(claim.key) is claim
    assert card.claim("no-such-claim") is None
    assert card.state == ("built" if card.built else "planned")
    assert not card.built or any(claim.experiment for claim in card.claims)


@pytest.mark.parametrize("slug", SLUGS)
def test_bibtex_parses(slug: str) -> None:
    card = load(slug)
    kind, key, fields = parse_bibtex(card.bibtex())
    assert kind == ("article" if card.journal else "inproceedings" if card.venue else "misc")
    assert fields["title"].strip("{}")
    assert re.fullmatch(r"(19|20)\d\d", fields["year"])
    assert int(fields["year"]) >= int(card.date[:4])
    assert key == slug.replace("-", "") + fields["year"]
    assert fields.get("eprint") == card.arxiv
    assert ("author" in fields) == bool(card.authors)
    assert len(fields.get("author", "").split(" and ")) == max(len(card.authors), 1)
    assert ("journal" in fields) == card.journal
    assert ("booktitle" in fields) == (bool(card.venue) and not card.journal)
    assert card.bibtex().isascii()


def test_keys_of_bibtex_are_unique() -> None:
    assert len({parse_bibtex(load(slug).bibtex())[1] for slug in SLUGS}) == len(SLUGS)


def test_bibtex_of_a_preprint() -> None:
    kind, key, fields = parse_bibtex(replace(PLAIN, arxiv="2102.00001").bibtex())
    assert (kind, key) == ("misc", "twowords2021")
    assert fields == {
        "title": "{A Title}",
        "author": "Ada Lovelace",
        "year": "2021",
        "eprint": "2102.00001",
        "archivePrefix": "arXiv",
        "url": "https://arxiv.org/abs/2102.00001",
    }


def test_bibtex_takes_the_year_of_the_venue() -> None:
    kind, key, fields = parse_bibtex(replace(PLAIN, venue="ICLR 2022").bibtex())
    assert (kind, key) == ("inproceedings", "twowords2022")
    assert (fields["booktitle"], fields["year"]) == ("ICLR 2022", "2022")
    assert "journal" not in fields


def test_bibtex_of_a_journal() -> None:
    card = replace(PLAIN, venue="Vision & Computing 2023", journal=True, volume="12", pages="3-14")
    kind, _, fields = parse_bibtex(card.bibtex())
    assert kind == "article"
    assert fields["journal"] == r"Vision \& Computing"
    assert (fields["year"], fields["volume"], fields["pages"]) == ("2023", "12", "3--14")


def test_bibtex_spells_names_so_that_they_split_rightly() -> None:
    names = ("Hongyu Hè", "Mohammad R. Abu\N{NO-BREAK SPACE}Ayyash", "Zoë Çelik")
    fields = parse_bibtex(replace(PLAIN, authors=names).bibtex())[2]
    assert fields["author"] == r"Hongyu H{\`e} and Mohammad R. {Abu Ayyash} and Zo{\"e} {\c C}elik"


def test_bibtex_without_authors_names_nobody() -> None:
    assert "author" not in parse_bibtex(replace(PLAIN, authors=()).bibtex())[2]


@pytest.mark.parametrize("entry", ["@misc{key,\n  title = {{A Title},\n}", "@misc{key,\n  title = {A} Title},\n}"])
def test_unbalanced_bibtex_is_noticed(entry: str) -> None:
    with pytest.raises(AssertionError):
        parse_bibtex(entry)


def test_cards_come_newest_first() -> None:
    dates = [card.date for card in papers.cards()]
    assert len(dates) == len(SLUGS)
    assert dates == sorted(dates, reverse=True)


def test_card_by_slug() -> None:
    assert papers.card("three-phase").title == "Three-Phase Transformer"
    with pytest.raises(FormariumError, match="did you mean 'polycom'"):
        papers.card("polycon")


def test_cards_need_no_torch() -> None:
    code = "import sys; from formarium import papers; papers.cards(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
