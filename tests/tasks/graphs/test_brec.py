"""BREC: which test tells how many pairs apart, exactly as published."""

import gzip
from pathlib import Path

import pytest

from formarium.errors import DataError
from formarium.tasks.graphs import brec

WALKS = {"basic": 60, "simple_regular": 50, "strongly_regular": 0, "extension": 100, "cfi": 26}


@pytest.mark.usefixtures("_brec")
@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("1-WL", {}),
        ("distances", {"basic": 16, "simple_regular": 14, "extension": 41, "cfi": 12}),
        ("walks", WALKS),
    ],
)
def test_ceilings_are_the_published_ones(test: str, told: dict[str, int]) -> None:
    found = brec.ceiling(test)
    assert found.told == {family: told.get(family, 0) for family in brec.FAMILIES}
    assert found.total == sum(told.values())
    assert sum(found.of.values()) == 400
    assert found.false_alarms == 0


@pytest.mark.usefixtures("_brec")
def test_3_wl_tells_the_first_sixty_of_cfi() -> None:
    cfi = [pair for pair in brec.pairs() if pair.family == "cfi" and pair.first.nodes <= 48]
    found = brec.ceiling("3-WL", chosen=cfi, seed=None)
    first_sixty = [pair for pair in cfi if pair.number < 320]
    assert found.told["cfi"] == len(first_sixty) > 5


@pytest.mark.usefixtures("_brec")
def test_pairs_and_a_sample_of_them() -> None:
    pairs = brec.pairs()
    assert [pair.number for pair in pairs] == list(range(400))
    assert all(len(p.first.edges) == len(p.second.edges) for p in pairs)
    chosen = brec.stratified(40, seed=1)
    assert {pair.family for pair in chosen} == set(brec.FAMILIES)
    assert 36 <= len(chosen) <= 44
    assert chosen == brec.stratified(40, seed=1)


def test_says_where_the_pairs_belong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    brec.pairs.cache_clear()
    with pytest.raises(DataError, match=r"brec_pairs.tsv.gz .* FORMARIUM_DATA"):
        brec.pairs()
    (tmp_path / "brec").mkdir()
    (tmp_path / "brec" / "brec_pairs.tsv.gz").write_bytes(b"id\tfamily\n0\tbasic\n")
    with pytest.raises(DataError, match="not the file of BREC's pairs"):
        brec.pairs()
    brec.pairs.cache_clear()


@pytest.mark.usefixtures("_brec")
def test_a_damaged_file_is_not_taken_for_fewer_pairs(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = (data / "brec" / "brec_pairs.tsv.gz").read_bytes()
    rows = gzip.decompress(whole).splitlines(keepends=True)
    file = tmp_path / "brec" / "brec_pairs.tsv.gz"
    file.parent.mkdir()
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    cut = b"".join(rows)[: sum(map(len, rows[:50])) + 9]
    for damaged in (whole[:-9], whole[:200], cut, b"".join(rows[:300]), b"<html></html>\n", b""):
        file.write_bytes(damaged)
        brec.pairs.cache_clear()
        with pytest.raises(DataError, match="not the file of BREC's pairs"):
            brec.pairs()
    brec.pairs.cache_clear()
