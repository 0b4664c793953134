"""``formarium curvature``: which tokens of a model go to which geometry."""

import json
from pathlib import Path
from typing import Annotated

import typer


def curvature(
    model: Annotated[Path, typer.Argument(help="The folder of a model whose token mixer is a Mixture.")],
    text: Annotated[str | None, typer.Option(help="For a language model: the text whose tokens are shown.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many tokens to show for each geometry.")] = 5,
    html: Annotated[Path | None, typer.Option(help="Also write a page with a map of all tokens to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Picture which entities, relations or words a model's routers send to which geometry.

    Example: [bold]formarium curvature wn18rr --html geometries.html[/bold]
    """
    import torch
    from rich.console import Console

    from formarium.cli.options import folder_of_model
    from formarium.config import ConfigError
    from formarium.models import Decoder, LinkPredictor, load
    from formarium.progress import notice
    from formarium.tasks.links.completing import Completer
    from formarium.tasks.links.geometry import branch_names, graph_shares, sequence_shares
    from formarium.tasks.links.geometry_report import print_shares, summary, write_html

    folder = folder_of_model(model)
    built = load(folder)
    if not isinstance(built, LinkPredictor | Decoder):
        raise ConfigError(f"a {type(built).__name__} has no routers that this command can read")
    branch_names(built)  # refuses a model without routers before anything is asked of its text or triples
    if isinstance(built, LinkPredictor):
        if text is not None:
            raise ConfigError("--text is for language models; of a model of links, entities and relations are shown")
        kept = Completer.load(folder)
        shares = graph_shares(built, kept.training_triples(), kept.vocabulary)
    else:
        from formarium.tasks.language import tokenizers

        if not text:
            raise ConfigError("a language model needs a text whose tokens are shown: --text")
        tokenizer = tokenizers.load(folder)
        tokens = list(tokenizer.encode(text))
        most = built.config.max_length
        if most is not None and len(tokens) > most:
            notice(f"of the text's {len(tokens):,} tokens the model takes the first {most:,}")
        tokens = tokens[:most]
        shares = sequence_shares(built, torch.tensor([tokens]), [tokenizer.decode([token]) for token in tokens])
    if html is not None:
        write_html(shares, html, folder.resolve().name)
    if as_json:
        print(json.dumps(summary(shares, top), indent=2, ensure_ascii=False))
        return
    print_shares(shares, Console(), top)
