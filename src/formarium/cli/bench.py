"""``formarium bench``: what variants of a decoder cost on this machine."""

import json
from typing import Annotated

import typer


def bench(
    variant: Annotated[
        list[str] | None, typer.Option("--variant", "-v", help="Settings of one variant, as position=CARoPE.")
    ] = None,
    model: Annotated[str, typer.Option(help="The decoder that variants change.")] = (
        "Decoder(vocabulary=4096, width=384, depth=12, heads=6)"
    ),
    batch: Annotated[int, typer.Option(min=1, help="Sequences in a training step.")] = 2,
    length: Annotated[int, typer.Option(min=2, help="Tokens in a sequence.")] = 512,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds; the median counts.")] = 7,
    compiled: Annotated[bool, typer.Option(help="Through torch.compile.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads; all cores if none.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time a training step and cached decoding of each variant, in turn, and print the ratios to the first.

    Example: [bold]formarium bench -v position=RoPE -v position=CARoPE[/bold]
    """
    import torch
    from rich.console import Console
    from rich.table import Table

    from formarium.cli.options import jsonable, settings, split_settings
    from formarium.config import parse
    from formarium.lab.timing import bench_decoders

    if threads is not None:
        torch.set_num_threads(threads)
    base = parse(model)
    configs = {
        text or base.name(): base.override(settings(split_settings(text) if text else ())) for text in variant or [""]
    }
    rows = bench_decoders(configs, batch, length, repeats, compiled)
    if as_json:
        print(json.dumps(jsonable(rows), indent=2))
        return
    first = next(iter(rows.values()))
    table = Table(title=f"{batch} x {length} tokens, {torch.get_num_threads()} threads, median of {repeats}")
    for column in ("variant", "parameters", "step", "tokens/s", "ratio", "decoding", "ratio "):
        table.add_column(column, justify="left" if column == "variant" else "right", overflow="fold")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['parameters']:,.0f}",
            f"{1000 * row['step_seconds']:.0f} ms",
            f"{row['tokens_per_second']:,.0f}",
            f"{row['step_seconds'] / first['step_seconds']:.3f}",
            f"{row['decoded_per_second']:,.0f}/s",
            f"{row['decoded_per_second'] / first['decoded_per_second']:.3f}",
        )
    Console().print(table)
