"""``formarium generate``: text from a trained language model."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def generate(
    model: Annotated[Path, typer.Argument(help="A language model's folder.")],
    prompt: Annotated[
        list[str] | None, typer.Argument(help="Texts to continue; from the start of a document if none.")
    ] = None,
    new_tokens: Annotated[int, typer.Option("--new-tokens", "-n", min=1, help="How many tokens to add.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 takes the best token each time.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(min=1, help="Only the k best tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Only the best tokens that reach this probability.")] = None,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1 discourages repetition.")] = 1.0,
    stop: Annotated[list[str] | None, typer.Option(help="End where this text appears; may repeat.")] = None,
    compiled: Annotated[bool, typer.Option(help="Through torch.compile: a slow start, then faster.")] = False,
    seed: Annotated[int | None, typer.Option(help="For the same text again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Continue texts.

    Example: [bold]formarium generate shakespeare "To be, or" --top-p 0.9 --stop EXEUNT[/bold]
    """
    from formarium.cli.options import folder_of_model
    from formarium.models import Decoder
    from formarium.models.generation import Sampling
    from formarium.tasks.language import tokenizers
    from formarium.tasks.language.continuing import continue_texts, write_live

    folder = folder_of_model(model)
    decoder = Decoder.from_pretrained(folder)
    tokenizer = tokenizers.load(folder)
    sampling = Sampling(
        new_tokens=new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    texts = prompt or [""]
    if as_json or len(texts) > 1:
        found = continue_texts(decoder, tokenizer, texts, sampling, stop or (), compiled)
        if as_json:
            rows = [{"prompt": p, "text": t} for p, t in zip(texts, found, strict=True)]
            print(json.dumps(rows, indent=2, ensure_ascii=False))
        else:
            print("\n----\n".join(p + t for p, t in zip(texts, found, strict=True)))
        return
    write_live(decoder, tokenizer, texts[0], sampling, stop or (), sys.stdout, compiled)
    sys.stdout.write("\n")
