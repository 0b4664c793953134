"""``formarium predict-links``: what completes a triple, by a trained model of a knowledge graph."""

import json
from pathlib import Path
from typing import Annotated

import typer


def predict_links(
    model: Annotated[Path, typer.Argument(help="The folder of a model of a knowledge graph.")],
    head: Annotated[str | None, typer.Option(help="The entity a link starts from, by label or name.")] = None,
    relation: Annotated[str | None, typer.Option(help="The kind of link.")] = None,
    tail: Annotated[str | None, typer.Option(help="The entity a link leads to, by label or name.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many answers.")] = 10,
    only_new: Annotated[bool, typer.Option("--new", help="Only links that training did not know.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Complete a link: name two of --head, --relation and --tail, and get the best answers for the third.

    Scores compare answers to one question, not answers to different ones. Example:

    [bold]formarium predict-links wn18rr --head dog.n.01 --relation _hypernym --new[/bold]
    """
    import dataclasses

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from formarium.cli.options import folder_of_model, jsonable
    from formarium.progress import notice
    from formarium.tasks.links.completing import Completer
    from formarium.tasks.links.task import TRIPLES

    completer = Completer.load(folder_of_model(model))
    answers = completer.complete(head, relation, tail, top, only_new)
    if completer.triples is None:
        notice(f"there is no {TRIPLES} beside the model, so which answers stood in training is not known")
    if as_json:
        print(json.dumps(jsonable([dataclasses.asdict(answer) for answer in answers]), indent=2, ensure_ascii=False))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("", justify="right", style="dim")
    table.add_column("answer", overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("in training")
    for place, answer in enumerate(answers, 1):
        label = "" if answer.label == answer.name else f" [dim]{escape(answer.label)}[/dim]"
        table.add_row(str(place), f"{escape(answer.name)}{label}", f"{answer.score:.3f}", "yes" if answer.known else "")
    Console().print(table)
