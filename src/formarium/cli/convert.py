"""``formarium convert``: published weights to a model folder of ours."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    paper: Annotated[str, typer.Argument(help="The paper whose weights these are, or llama for Llama-like models.")],
    weights: Annotated[Path, typer.Argument(help="The published file or folder.")],
    out: Annotated[Path, typer.Argument(help="Where the model goes.")],
) -> None:
    """Turn published weights into a model that every command here can use.

    Only safetensors, and torch files that hold nothing but tensors, are read. Example:

    [bold]formarium convert llama TinyLlama-1.1B/ tiny-llama[/bold]
    """
    from formarium.errors import DataError
    from formarium.official import convert as to_ours

    if not weights.exists():
        raise DataError(f"there is nothing at {weights}")
    to_ours(paper, weights, out)
    print(f"model: {out.resolve()}")
