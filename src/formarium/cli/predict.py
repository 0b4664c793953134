"""``formarium predict``: what a trained model answers about data of the user's."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    model: Annotated[Path, typer.Argument(help="The folder of a model of graphs or images, as train left it.")],
    data: Annotated[str, typer.Argument(help="What to answer about: graphs as for training, a picture, or a folder.")],
    out: Annotated[Path | None, typer.Option(help="A CSV file; printed if none.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Those of all classes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON in place of CSV.")] = False,
) -> None:
    """Answer about other data with a trained model: a row for each graph, node, pair of nodes or picture.

    Models of knowledge graphs answer by predict-links, language models by generate. Example:

    [bold]formarium predict solubility new/ --out answers.csv[/bold]
    """
    import csv
    import io
    import json
    import sys

    from formarium.cli.options import folder_of_model, jsonable
    from formarium.config import ConfigError, config_from_dict
    from formarium.errors import DataError
    from formarium.files import read_object, write_text
    from formarium.models import load
    from formarium.tasks.task import Task
    from formarium.training.harness import RUN

    folder = folder_of_model(model)
    task = config_from_dict(read_object(folder / RUN, "description of a run").get("task", {})).build()
    if not isinstance(task, Task):
        raise ConfigError(f"{folder / RUN} names no task, but a {type(task).__name__}")
    rows = [jsonable(row) for row in task.predict(load(folder), folder, data, probabilities)]
    if not rows:
        raise DataError(f"{data!r} asks about nothing")
    text = io.StringIO()
    if as_json:
        text.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    else:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    if out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_text(out, text.getvalue())
        print(f"{len(rows):,} answers: {out.resolve()}")
