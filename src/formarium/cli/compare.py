"""``formarium compare``: any variants, side by side, on any task."""

import math
from pathlib import Path
from typing import Annotated

import typer


def compare(
    task: Annotated[str, typer.Argument(help="The task, as language or 'Language(corpus=texts/, context=256)'.")],
    variant: Annotated[
        list[str], typer.Option("--variant", "-v", help="Settings of one variant's model, as position=CARoPE.")
    ],
    model: Annotated[
        str | None, typer.Option(help="The model that variants change; the task's baseline if none.")
    ] = None,
    training: Annotated[
        str | None, typer.Option(help="How all are trained, as 'Training(batch_size=32)'; else as suits the task.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of the task, as context=256.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Paired seeds of each variant.")] = 3,
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Wall-clock for the whole comparison.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each run, instead of a time.")] = None,
    rates: Annotated[str, typer.Option(help="Factors on the learning rate that each variant tries.")] = "0.5,1,2",
    metric: Annotated[list[str] | None, typer.Option(help="Further metrics, as loss@2x.")] = None,
    matched: Annotated[bool, typer.Option(help="Bring all variants to the parameters of the first.")] = True,
    processes: Annotated[int | None, typer.Option(min=1, help="Runs at a time; as many as there are cores.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the record and the report.")] = Path("formarium-runs"),
) -> None:
    """Compare variants of a model fairly: equal parameters, equal data, a learning rate for each, paired seeds.

    Every variant is held against the first. Example:

    [bold]formarium compare language -v position=RoPE -v position=CARoPE --minutes 10[/bold]
    """
    from rich.console import Console

    from formarium.cli.options import settings, split_settings
    from formarium.cli.options import task as read_task
    from formarium.config import ConfigError
    from formarium.lab.claim import Comparison, Contrast, Setting, Variant
    from formarium.lab.prove import Options, compare_freely
    from formarium.lab.report import print_records, write_html
    from formarium.training import Training

    try:
        factors = tuple(float(rate) for rate in rates.split(","))
    except ValueError:
        raise ConfigError(f"{rates!r} is not a list of numbers, as 0.5,1,2") from None
    if not all(0 < factor < math.inf for factor in factors):
        raise ConfigError(f"factors on the learning rate are above 0, unlike some of {rates!r}")
    if len(variant) < 2:
        raise ConfigError("a comparison takes at least two --variant")
    config = read_task(task, set_ or ())
    built = config.build()
    arms = [Variant(text, settings(split_settings(text))) for text in variant]
    if len({arm.name for arm in arms}) < len(arms):
        raise ConfigError("two variants are the same; to measure the noise, see formarium calibrate")
    if minutes is None and steps is None:
        minutes = 10.0
    measured = list(dict.fromkeys([built.headline, *(metric or ())]))
    built.check(measured)
    lists = [name for name in measured if name.partition("@")[0] in built.lists]
    if lists:
        raise ConfigError(f"{lists[0]!r} is a list of numbers; variants are compared by single ones")
    comparison = Comparison(
        task=config.describe(),
        model=model or built.baseline().describe(),
        training=training or Training().override(built.training).describe(),
        variants=tuple(arms),
        matched=matched,
        settings={"laptop": Setting(seeds=seeds, learning_rates=factors, minutes=minutes, steps=steps)},
    )
    requires = tuple(
        Contrast(arm.name, arms[0].name, name, built.metrics[name.partition("@")[0]])
        for arm in arms[1:]
        for name in measured
    )
    record = compare_freely(comparison, requires, Options(processes=processes, threads=threads))
    record.save(out)
    report = out / record.paper / f"{record.claim}.html"
    write_html([record], report)
    console = Console()
    print_records([record], console)
    console.print(f"report: {report.resolve()}", highlight=False, soft_wrap=True)
