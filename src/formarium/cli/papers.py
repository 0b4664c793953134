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
    """List the papers.

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
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("paper", "title", "date", "domains", "state", "verdicts"):
            table.add_column(column, overflow="fold")
        for c in found:
            style = None if c.built else "dim"
            table.add_row(
                c.slug, c.title, c.date, ", ".join(c.domains), c.state, _held(verdicts.get(c.slug)), style=style
            )
        Console().print(table)
    if not found:
        raise typer.Exit(1)


def _text(card: object) -> str:
    from formarium.lab.claim import Card

    assert isinstance(card, Card)
    parts = (card.slug, card.title, card.summary, *card.authors, *card.parts, *(c.text for c in card.claims))
    return " ".join(parts)


def _held(verdicts: dict[str, str] | None) -> str:
    if not verdicts:
        return ""
    counts = [(list(verdicts.values()).count(v), v) for v in ("supported", "refuted", "inconclusive")]
    return ", ".join(f"{n} {v}" for n, v in counts if n)
