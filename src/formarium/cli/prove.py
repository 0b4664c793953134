"""``formarium prove``: a paper's claims against a fair baseline."""

import json
from pathlib import Path
from typing import Annotated

import typer


def prove(
    claims: Annotated[list[str], typer.Argument(help="Papers, or single claims as paper/claim.")],
    scale: Annotated[
        str, typer.Option(help="demo (minutes), laptop (half an hour), gpu, or paper (the paper's own setting).")
    ] = "demo",
    seeds: Annotated[int | None, typer.Option(min=1, help="Paired seeds of each variant.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Wall-clock for each experiment, in place of its steps.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of each run, instead of a time.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Runs at a time; as many as there are cores.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each run.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the records and the report.")] = Path("formarium-runs"),
    records_to: Annotated[
        Path | None, typer.Option("--records", help="Another folder for the records, to keep or publish them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records as JSON.")] = False,
) -> None:
    """Put claims to the proof: train or compute what they need, judge it, and write records and a report.

    What is finished is kept: stopped by Ctrl-C, the same command goes on. Under torchrun every run uses all processes.

    Examples: [bold]formarium prove polycom --scale laptop[/bold]

    [bold]formarium prove carope/longer-context polycom/represents-powers[/bold]
    """
    import dataclasses

    from rich.console import Console

    from formarium.config import ConfigError, suggestion
    from formarium.lab.claim import SCALES, Scale
    from formarium.lab.prove import Options
    from formarium.lab.prove import prove as put_to_the_proof
    from formarium.lab.report import print_records, write_html
    from formarium.papers import card

    if scale not in SCALES:
        raise ConfigError(f"there is no scale {scale!r}{suggestion(scale, SCALES)}")
    at: Scale = next(s for s in SCALES if s == scale)
    wanted: dict[str, list[str]] = {}
    for name in claims:
        slug, _, key = name.partition("/")
        keys = wanted.setdefault(card(slug).slug, [])
        if key:
            keys.append(key)
    options = Options(seeds=seeds, minutes=minutes, steps=steps, processes=processes, threads=threads)
    records = []
    for slug, keys in wanted.items():
        for record in put_to_the_proof(card(slug), at, keys, options):
            record.save(records_to or out)
            records.append(record)
    report = out / f"{'-'.join(wanted)}.{scale}.html"
    write_html(records, report)
    if as_json:
        print(json.dumps([dataclasses.asdict(record) for record in records], indent=2))
        return
    console = Console()
    print_records(records, console)
    for record in records:
        console.print(f"[bold]{record.claim}[/bold]: {record.sentence}", highlight=False)
    console.print(f"report: {report.resolve()}", highlight=False, soft_wrap=True)
