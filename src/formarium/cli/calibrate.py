"""``formarium calibrate``: what the lab says where the truth is known."""

import json
from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    comparisons: Annotated[int, typer.Option(min=2, help="How many comparisons of a model with itself.")] = 60,
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of each arm.")] = 3,
    processes: Annotated[int | None, typer.Option(min=1, help="Runs at a time; as many as there are cores.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the record.")] = Path("formarium-runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the lab itself: verdicts on a model against itself, and on effects of known size.

    Ends with status 1 when a rate lies outside of what chance explains.

    Example: [bold]formarium calibrate --comparisons 60[/bold]
    """
    import dataclasses

    from rich.console import Console
    from rich.table import Table

    from formarium.files import write_json
    from formarium.lab.calibration import calibrate as measure
    from formarium.lab.runs import default_processes

    found = measure(comparisons, seeds, processes=processes or default_processes(1))
    data = dataclasses.asdict(found)
    write_json(out / "calibration.json", data)
    if as_json:
        print(json.dumps(data, indent=2))
    else:
        title = f"{comparisons} comparisons of {seeds} seeds; the loss deviates by {found.deviation:.4f} between seeds"
        table = Table(title=title)
        for column in ("truth", "found", "should be", "95 % of shares lie in", ""):
            table.add_column(column)
        for rate in found.rates:
            truth = f"an effect of {rate.effect:g} deviations" if rate.effect else "no effect (A/A)"
            within = f"{rate.low:.1%} to {rate.high:.1%}" if rate.effect else f"up to {rate.high:.1%}"
            mark = "[green]as it should be[/]" if rate.holds else "[red]not as it should be[/]"
            table.add_row(truth, f"{rate.found:.1%}", f"{rate.expected:.1%}", within, mark)
        Console().print(table)
    if not found.holds:
        raise typer.Exit(1)
