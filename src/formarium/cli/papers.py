"""``formarium papers``: what is there, what is built, what held."""

import json
from typing import Annotated

import typer


def papers(
    domain: Annotated[str | None, typer.Option(help="Only papers of this domain, as language or graphs.")] = None,
    slot: Annotated[str | None, typer.Option(help="Only papers that change this slot, as position.")] = None,
    state: Annotated[str | None, typer.Option(help="Only papers in this state: built or planned.")] = None,
    search: Annotated[str | None, typer.Option("--search", "-s", help="Only papers that mention this text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the papers: what is built, and how many claims held (+), did not (-), or could not be told (?).

    Example: [bold]formarium papers --domain language --slot position[/bold]
    """
    from rich.console import Console
    from rich.table import Table

    from formarium.config import ConfigError, suggestion
    from formarium.lab.verdicts import published_verdicts
    from formarium.papers import cards

    everything = cards()
    for given, known, what in (
        (domain, {d for c in everything for d in c.domains}, "domain"),
        (slot, {s for c in everything for s in c.slots}, "slot"),
        (state, {"built", "planned"}, "state"),
    ):
        if given is not None and given not in known:
            raise ConfigError(f"there is no {what} {given!r}{suggestion(given, known)}")
    found = [
        c
        for c in everything
        if (domain is None or domain in c.domains)
        and (slot is None or slot in c.slots)
        and (state is None or c.state == state)
        and (search is None or search.lower() in _text(c).lower())
    ]
    verdicts = published_verdicts()
    if as_json:
        rows = [
            {
                "slug": c.slug,
                "title": c.title,
                "date": c.date,
                "arxiv": c.arxiv,
                "domains": list(c.domains),
                "slots": list(c.slots),
                "state": c.state,
                "claims": len(c.claims),
                "verdicts": verdicts.get(c.slug, {}),
            }
            for c in found
        ]
        print(json.dumps(rows, indent=2))
    elif found:
        table = Table(box=None, header_style="bold", pad_edge=False, expand=True)
        cells = [
            (c.slug, c.date[:7], c.state, _held(verdicts.get(c.slug)), ", ".join(c.domains), c.title) for c in found
        ]
        header = ("paper", "date", "state", "held", "domains", "title")
        for index, column in enumerate(header[:-1]):
            table.add_column(column, no_wrap=True, min_width=max(len(row[index]) for row in (header, *cells)))
        table.add_column(header[-1], no_wrap=True, overflow="ellipsis", ratio=1)
        for c, row in zip(found, cells, strict=True):
            table.add_row(*row, style=None if c.built else "dim")
        Console().print(table)
    if not found:
        raise typer.Exit(1)


def _text(card: object) -> str:
    from formarium.lab.claim import Card

    assert isinstance(card, Card)
    parts = (card.slug, card.title, card.summary, *card.authors, *card.parts, *(c.text for c in card.claims))
    return " ".join(parts)


def _held(verdicts: dict[str, str] | None) -> str:
    """How many claims held (+), did not (-), and could not be told (?)."""
    counts = [(list((verdicts or {}).values()).count(v), mark) for v, mark in _MARKS.items()]
    return " ".join(f"{n}{mark}" for n, mark in counts if n)


_MARKS = {"supported": "+", "refuted": "-", "inconclusive": "?"}
