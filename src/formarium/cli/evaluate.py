"""``formarium evaluate``: what a trained model measures."""

import json
from pathlib import Path
from typing import Annotated, Any

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
    import contextlib

    from formarium.cli.options import folder_of_model, jsonable, settings
    from formarium.cli.options import task as read_task
    from formarium.config import ConfigError, config_from_dict, suggestion
    from formarium.files import read_object
    from formarium.models import load
    from formarium.tasks.task import SPLITS
    from formarium.training.harness import RUN

    folder = folder_of_model(model)
    if split not in SPLITS:
        raise ConfigError(f"there is no split {split!r}{suggestion(split, SPLITS)}")
    kept = read_object(folder / RUN, "description of a run (name the task with --task)") if task is None else {}
    config = config_from_dict(kept.get("task", {})) if task is None else read_task(task)
    changes = settings(set_ or ())
    trained = load(folder)
    # Relative paths of the training mean what they meant there, those that are given now what they mean here.
    start = _start(kept)
    if start != Path():
        changes = {name: str(Path(v).resolve()) if Path(v).exists() else v for name, v in changes.items()}
    with contextlib.chdir(start):
        built = config.override(changes).build()
        built.trained(trained, folder)
        if task is not None:
            built.adapt(trained.config)  # refuses models of another kind
        built.prepare()
        names = metric or list(built.usual or built.metrics)
        built.check(names)
        found = built.evaluate(trained, split, names)
    if as_json:
        print(json.dumps(jsonable(found), indent=2))
        return
    for name, value in found.items():
        print(f"{name}: {value:.5g}" if isinstance(value, float) else f"{name}: {len(value)} values (see --json)")


def _start(kept: dict[str, Any]) -> Path:
    """Where a training was started, if its task names something that lies there; else the present folder."""
    from formarium.training.harness import WHERE

    start = Path(kept.get(WHERE, ""))
    named = [value for value in kept.get("task", {}).values() if isinstance(value, str) and value]
    modules = [f"{value.partition(':')[0].replace('.', '/')}.py" for value in named if ":" in value]
    return start if start.is_dir() and any((start / name).exists() for name in (*named, *modules)) else Path()
