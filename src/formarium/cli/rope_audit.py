"""``formarium rope-audit``: what bounds say of a model's rotary position embedding."""

import json
from pathlib import Path
from typing import Annotated

import typer


def rope_audit(
    model: Annotated[
        str | None, typer.Argument(help="A config.json, a checkpoint folder, or a Hugging Face id.", show_default=False)
    ] = None,
    theta: Annotated[float | None, typer.Option(help="RoPE's base, instead of the model's.")] = None,
    head_dim: Annotated[int | None, typer.Option(help="Rotating channels of a head, instead of the model's.")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers that rotate, instead of the model's.")] = None,
    context: Annotated[int | None, typer.Option(help="Context in tokens, instead of the model's.")] = None,
    epsilon: Annotated[float, typer.Option(help="Coherence asked of the slowest channel, between 0 and 1.")] = 0.95,
    target_length: Annotated[
        int | None, typer.Option(help="Say what base this context would need; the model's own by default.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Arithmetic of the phases: fp64, fp32, tf32, fp16 or bf16.")] = "fp32",
    strict_nyquist: Annotated[bool, typer.Option(help="Allow half a turn, not a whole one, before aliasing.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a page with interactive maps to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Audit a model's RoPE: margins to the bounds on its base, what precision does to it, what a length would need.

    Options change the model's own numbers ("what if?"); all four without a model describe one.

    Examples: [bold]formarium rope-audit Qwen/Qwen3-8B --target-length 262144[/bold]

    [bold]formarium rope-audit --theta 500000 --head-dim 128 --layers 32 --context 8192[/bold]
    """
    import dataclasses

    from rich.console import Console

    from formarium.config import ConfigError
    from formarium.theory.rope_audit import audit
    from formarium.theory.rope_config import plain_model, read_rotary, with_changes
    from formarium.theory.rope_report import print_audit, write_html

    if model is not None:
        facts = with_changes(read_rotary(model), theta, head_dim, layers, context)
    elif theta is None or head_dim is None or layers is None or context is None:
        raise ConfigError(
            "name a config.json, a checkpoint folder or a Hugging Face id, or give all four of --theta, --head-dim, "
            "--layers and --context"
        )
    else:
        facts = plain_model(theta, head_dim, layers, context)
    found = audit(facts, epsilon, dtype, target_length, strict_nyquist)
    if html is not None:
        write_html(found, html)
    if as_json:
        print(json.dumps(dataclasses.asdict(found), indent=2, allow_nan=False))
        return
    console = Console()
    print_audit(found, console)
    if html is not None:
        console.print(f"page: {html.resolve()}", highlight=False, soft_wrap=True)
