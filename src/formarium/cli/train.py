"""``formarium train``: one model on one task."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    task: Annotated[str, typer.Argument(help="The task, as language or 'Language(corpus=texts/, context=256)'.")],
    out: Annotated[Path, typer.Option(help="Folder for the model; a run found there goes on.")],
    model: Annotated[str | None, typer.Option(help="The model, as 'Decoder(width=256)'; else the baseline.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="Any setting: task.context=256, model.depth=6, steps=500.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the start and the order of data.")] = 0,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    devices: Annotated[str, typer.Option(help="How many devices, or auto.")] = "auto",
    strategy: Annotated[str, typer.Option(help="auto, ddp or fsdp.")] = "auto",
    accelerator: Annotated[str, typer.Option(help="auto, cpu, gpu or mps.")] = "auto",
    logger: Annotated[list[str] | None, typer.Option(help="csv, tensorboard or wandb; may repeat.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of this process.")] = None,
) -> None:
    """Train a model and keep it in a folder.

    Settings that are not given are those that suit the task.

    Stopped by Ctrl-C, killed or out of memory: the same command goes on from the last checkpoint to the same numbers.
    On several machines start it with torchrun. Example:

    [bold]formarium train language --out shakespeare -s task.corpus=tiny-shakespeare -s steps=500[/bold]
    """
    import torch

    from formarium.cli.options import settings
    from formarium.cli.options import task as read_task
    from formarium.config import parse
    from formarium.training import Machine, Training, fit
    from formarium.training.loggers import make_loggers

    if threads is not None:
        torch.set_num_threads(threads)
    changes: dict[str, dict[str, str]] = {"task": {}, "model": {}, "training": {}}
    for name, value in settings(set_ or ()).items():
        room, dot, rest = name.partition(".")
        if dot and room in changes:
            changes[room][rest] = value
        else:
            changes["training"][name] = value
    built = read_task(task).override(changes["task"]).build()
    start = built.baseline() if model is None else parse(model)
    built.adapt(start)  # refuses a model of another kind before its settings are looked at
    start = start.override(changes["model"])
    machine = Machine().override({"devices": devices, "strategy": strategy, "accelerator": accelerator})
    _, result = fit(
        built.fitted(start, [name for name in changes["model"] if "." not in name]),
        built,
        Training().override({**built.training, **changes["training"]}),
        seed=seed,
        folder=out,
        machine=machine,
        checkpoint_every=checkpoint_every,
        loggers=make_loggers(logger or (), out),
    )
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in result.metrics.items() if isinstance(value, float))
    print(f"{result.steps} steps, {result.units:,} {result.unit}, {result.rate:,.0f} {result.unit}/s; {numbers}")
    print(f"model: {out.resolve()}")
