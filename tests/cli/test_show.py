"""``formarium show``: one paper, with its claims and what became of them."""

import json
from collections.abc import Callable

import pytest

from formarium.papers import card, cards


@pytest.mark.parametrize("slug", [c.slug for c in cards()])
def test_every_paper_is_shown(run: Callable, slug: str) -> None:
    done = run("show", slug)
    assert (done.status, done.err) == (0, "")
    text = " ".join(done.out.split())
    found = card(slug)
    for words in (found.title, found.url, *(claim.key for claim in found.claims)):
        assert " ".join(words.split()) in text
    assert ("formarium prove" in text) == found.built


def test_claims_stand_with_their_verdicts(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = card("carope").claims[:2]
    verdicts = {"carope": {first.key: "supported", second.key: "refuted"}}
    monkeypatch.setattr("formarium.lab.verdicts.published_verdicts", lambda: verdicts)
    out = run("show", "carope").out
    assert f"{first.key}  supported" in out
    assert f"{second.key}  refuted" in out
    claims = {claim["key"]: claim["verdict"] for claim in json.loads(run("show", "carope", "--json").out)["claims"]}
    assert claims[first.key] == "supported"
    assert claims[second.key] == "refuted"
    assert all(verdict is None for key, verdict in claims.items() if key not in verdicts["carope"])


def test_scripts_get_everything(run: Callable) -> None:
    data = json.loads(run("show", "polycom", "--json").out)
    found = card("polycom")
    assert (data["slug"], data["title"], data["state"], data["url"]) == ("polycom", found.title, "built", found.url)
    assert [claim["key"] for claim in data["claims"]] == [claim.key for claim in found.claims]
    assert all(claim["text"] and claim["source"] for claim in data["claims"])


def test_a_paper_that_is_none(refused: Callable[..., str]) -> None:
    assert refused("show", "CaRoP") == "error: there is no paper 'CaRoP'; did you mean 'carope'?"
    assert refused("show", "zzzzz").startswith("error: there is no paper 'zzzzz'; there are: ")
