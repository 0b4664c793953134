"""``formarium expressivity``: which tests tell two graphs apart, and whether they are the same."""

import json
from pathlib import Path
from typing import Annotated

import typer


def expressivity(
    first: Annotated[Path, typer.Argument(help="A graph: .graphml, .gml, .g6, .s6, .json, or edges line by line.")],
    second: Annotated[Path, typer.Argument(help="Another graph.")],
    steps: Annotated[int, typer.Option(min=1, max=1024, help="Steps of the random walks.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to look for an isomorphism.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which tests tell two graphs apart, in which round, and whether they are isomorphic.

    What a test cannot tell apart, no model that is bound by it can: 1-WL bounds message passing, walks bound attention
    with random-walk features. Directions, weights and labels are left out. Example:
    [bold]formarium expressivity rook.g6 shrikhande.g6[/bold]
    """
    from rich.console import Console
    from rich.table import Table

    from formarium.tasks.graphs.telling_apart import describe, tell_apart

    found = tell_apart(first, second, steps, seconds)
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("test", "verdict", "bounds"):
        table.add_column(column)
    for row in found.tests:
        table.add_row(row.test, describe(row), row.bounds)
    console = Console()
    for path, graph in ((first, found.first), (second, found.second)):
        console.print(f"{path}: {graph.nodes} nodes, {graph.edges} edges{graph.note}", highlight=False, markup=False)
    console.print(table)
    verdict = {True: "isomorphic", False: "not isomorphic", None: f"not settled in {seconds:g} s"}[found.isomorphic]
    console.print(f"the two graphs are {verdict}", highlight=False)
