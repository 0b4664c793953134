"""``formarium show``: a paper's card, its claims and their verdicts."""

import dataclasses
import json
from typing import Annotated

import typer


def show(
    paper: Annotated[str, typer.Argument(help="The paper's name, as in the list of papers.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a paper: what it proposes, what is honest to say of it, its parts, its claims and what held.

    Example: [bold]formarium show carope[/bold]
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding

    from formarium.lab.verdicts import published_verdicts
    from formarium.papers import card as find

    card = find(paper)
    verdicts = published_verdicts().get(card.slug, {})
    if as_json:
        data = {k: v for k, v in dataclasses.asdict(card).items() if k != "claims"}
        claims = [
            {
                "key": c.key,
                "text": c.text,
                "source": c.source,
                "kind": c.kind,
                "scales": list(c.available()),
                "verdict": verdicts.get(c.key),
                "notes": c.notes,
            }
            for c in card.claims
        ]
        print(
            json.dumps({**data, "state": card.state, "url": card.url, "claims": claims}, indent=2, ensure_ascii=False)
        )
        return
    console = Console(highlight=False)
    console.print(f"[bold]{escape(card.title)}[/bold]")
    lines = [", ".join(card.authors), f"{card.date}  {card.venue or ''}".strip(), card.url]
    console.print("\n".join(f"[dim]{escape(line)}[/dim]" for line in lines if line))
    console.print(Padding(escape(card.summary), (1, 0)))
    facts = {
        "state": card.state,
        "domains": ", ".join(card.domains),
        "slots": ", ".join(card.slots),
        "code": f"{card.code} (licence: {card.licence or 'not stated'})" if card.code else "none published",
        "weights": card.weights,
        "parts": ", ".join(card.parts),
        "model": card.model,
        "honestly": card.honesty,
    }
    for name, value in facts.items():
        if value:
            console.print(f"[bold]{name:<9}[/bold]{escape(value)}")
    console.print("\n[bold]Claims[/bold]")
    colours = {"supported": "green", "refuted": "red", "inconclusive": "yellow"}
    for claim in card.claims:
        verdict = verdicts.get(claim.key)
        state = (
            f"[bold {colours[verdict]}]{verdict}[/]" if verdict else ("not run" if claim.available() else "not built")
        )
        console.print(f"  [bold]{claim.key}[/bold]  {state}")
        console.print(Padding(escape(claim.text), (0, 0, 0, 4)))
        beside = [claim.source, claim.notes]
        console.print(Padding("\n".join(f"[dim]{escape(b)}[/dim]" for b in beside if b), (0, 0, 0, 4)))
    if card.built:
        console.print(f"\n[dim]formarium prove {card.slug} --scale demo[/dim]")
