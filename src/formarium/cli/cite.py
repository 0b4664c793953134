"""``formarium cite``: the BibTeX of papers, by their names or by the parts that you used."""

from typing import Annotated

import typer


def cite(
    names: Annotated[list[str], typer.Argument(help="Papers or parts, as carope or PolyNorm.")],
) -> None:
    """Print BibTeX entries.

    Example: [bold]formarium cite polycom CARoPE[/bold]
    """
    from formarium.config import suggestion
    from formarium.errors import FormariumError
    from formarium.papers import cards

    models = {card.model: card for card in cards() if card.model.isidentifier()}
    by_name = models | {name: card for card in cards() for name in (card.slug, *card.parts)}
    found = []
    for name in names:
        card = by_name.get(name) or by_name.get(name.lower())
        if card is None:
            source = _source(name)
            if source is not None:
                raise FormariumError(f"{name} is of no paper on the list; its documentation names its source: {source}")
            raise FormariumError(f"no paper or part is called {name!r}{suggestion(name, by_name)}")
        if card not in found:
            found.append(card)
    print("\n\n".join(card.bibtex() for card in found))


def _source(name: str) -> str | None:
    """What cites a paper in the documentation of a part or a model of that name; None where there is none such."""
    import inspect

    from formarium.config import ConfigError, resolve

    try:
        kind = resolve(name).builds
    except ConfigError:
        return None
    module = inspect.getmodule(kind)
    if kind is None or module is None:
        return None
    paragraphs = [*(module.__doc__ or "").split("\n\n"), *(kind.__doc__ or "").split("\n\n")]
    cited = next((text for text in paragraphs if "arXiv" in text), paragraphs[0])
    return " ".join(cited.split())
