"""``formarium papers``: what is there, filtered, for people and for scripts."""

import json
from collections.abc import Callable

import pytest

from formarium.papers import cards

Run = Callable
SLUGS = {card.slug for card in cards()}


def slugs(run: Run, *arguments: str) -> list[str]:
    done = run("papers", "--json", *arguments)
    assert done.status in (0, 1)
    return [row["slug"] for row in json.loads(done.out)]


def test_every_paper_is_listed(run: Run) -> None:
    found = json.loads(run("papers", "--json").out)
    assert {row["slug"] for row in found} == SLUGS
    assert len(found) == len(SLUGS) == 33
    dates = [row["date"] for row in found]
    assert dates == sorted(dates, reverse=True)
    table = run("papers")
    assert table.status == 0
    assert all(slug in table.out for slug in SLUGS)


def test_verdicts_stand_beside_their_papers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"carope": {"a": "supported", "b": "refuted", "c": "refuted"}}
    monkeypatch.setattr("formarium.lab.verdicts.published_verdicts", lambda: found)
    row = next(line for line in run("papers", "-s", "carope").out.splitlines() if line.startswith("carope"))
    assert "1+ 2-" in row
    rows = json.loads(run("papers", "--json", "--search", "carope").out)
    assert {row["slug"]: row["verdicts"] for row in rows}["carope"] == found["carope"]


def test_filters_narrow_the_list(run: Run) -> None:
    assert set(slugs(run)) == SLUGS
    for option, attribute in (("--domain", "domains"), ("--slot", "slots")):
        for value in {value for card in cards() for value in getattr(card, attribute)}:
            expected = {card.slug for card in cards() if value in getattr(card, attribute)}
            assert set(slugs(run, option, value)) == expected
    built = {card.slug for card in cards() if card.built}
    assert set(slugs(run, "--state", "built")) == built
    assert {"carope", "polycom"} <= built
    both = slugs(run, "--domain", "language", "--state", "built", "--search", "POLYNORM")
    assert both == ["polycom"]


def test_nothing_found_is_status_one(run: Run) -> None:
    done = run("papers", "--search", "no paper says this")
    assert done == (1, "", "")
    done = run("papers", "--json", "--search", "no paper says this")
    assert (done.status, json.loads(done.out)) == (1, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--domain", "langage"], "error: there is no domain 'langage'; did you mean 'language'?"),
        (["--slot", "positon"], "error: there is no slot 'positon'; did you mean 'position'?"),
        (["--state", "done"], "error: there is no state 'done'"),
    ],
)
def test_filters_that_are_none(refused: Callable[..., str], arguments: list[str], message: str) -> None:
    assert refused("papers", *arguments).startswith(message)
