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

    by_name = {card.slug: card for card in cards()}
    by_name |= {part: card for card in cards() for part in card.parts}
    found = []
    for name in names:
        if name not in by_name:
            raise FormariumError(f"no paper or part is called {name!r}{suggestion(name, by_name)}")
        if by_name[name] not in found:
            found.append(by_name[name])
    print("\n\n".join(card.bibtex() for card in found))
