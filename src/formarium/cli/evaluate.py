"""``formarium evaluate``: what a trained model measures."""

import json
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[Path, typer.Argument(help="A model's folder, as train left it.")],
    task: Annotated[str | None, typer.Option(help="The task; that of the training if none.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A setting of the task, as context=256.")
    ] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Metrics, as loss@2x; all if none.")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a trained model on its task, or on another of the same kind.

    Example: [bold]formarium evaluate shakespeare --metric loss --metric loss@2x[/bold]
    """
    from typing import get_args

    from formarium.cli.options import folder_of_model, jsonable, settings
    from formarium.cli.options import task as read_task
    from formarium.config import ConfigError, config_from_dict, suggestion
    from formarium.files import read_json
    from formarium.models import load
    from formarium.tasks.task import Split
    from formarium.training.harness import RUN

    folder = folder_of_model(model)
    splits = get_args(Split)
    if split not in splits:
        raise ConfigError(f"there is no split {split!r}{suggestion(split, splits)}")
    kept = read_json(folder / RUN, "description of a run (name the task with --task)") if task is None else None
    config = config_from_dict(kept["task"]) if kept is not None else read_task(str(task))
    built = config.override(settings(set_ or ())).build()
    built.prepare()
    names = metric or list(built.metrics)
    found = built.evaluate(load(folder), split, names)
    if as_json:
        print(json.dumps(jsonable(found), indent=2))
        return
    for name, value in found.items():
        print(f"{name}: {value:.5g}" if isinstance(value, float) else f"{name}: {len(value)} values (see --json)")
