"""The site: an index of all papers that searches and filters in the browser, and a page for each with its verdicts.

Drawn from cards and records only. The pages need no server and nothing from elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import formarium
from formarium.errors import FormariumError
from formarium.files import check_folder, write_text
from formarium.lab.claim import SCALES, Card
from formarium.lab.record import Record, largest, records
from formarium.lab.report import COLOURS, environment, section
from formarium.lab.verdicts import published
from formarium.papers import cards
from formarium.progress import progress

_MADE = '<meta name="generator" content="formarium">'


def write_site(folder: Path, own: Sequence[Path] = ()) -> int:
    """Writes the pages into a folder and returns how many there are.

    own: folders of further records, as ``formarium prove --records`` writes them; of the same claim and scale the last
    one counts. Raises FormariumError for a folder that holds something else, DataError for damaged records.
    """
    from plotly.offline import get_plotlyjs

    check_folder(folder)
    first = folder / "index.html"
    if folder.exists() and any(folder.iterdir()) and not (first.exists() and _MADE in first.read_text("utf-8")):
        raise FormariumError(f"{folder} holds something that is not a site of formarium; name another folder")
    by_paper: dict[str, dict[tuple[str, str], Record]] = {}
    for place in (published(), *own):
        for record in records(place):
            by_paper.setdefault(record.paper, {})[record.claim, record.scale] = record
    everything = cards()
    templates = environment("formarium.site")
    common = {"colours": COLOURS, "made": _MADE, "version": formarium.__version__}
    write_text(folder / "plotly.js", get_plotlyjs())
    with progress("writing pages", len(everything)) as advance:
        rows = []
        for card in everything:
            found = list(by_paper.get(card.slug, {}).values())
            page = templates.get_template("paper.html").render(card=card, claims=_claims(card, found), **common)
            write_text(folder / f"{card.slug}.html", page)
            rows.append(_row(card, found))
            advance()
    domains = sorted({domain for card in everything for domain in card.domains})
    slots = sorted({slot for card in everything for slot in card.slots})
    index = templates.get_template("index.html").render(rows=rows, domains=domains, slots=slots, **common)
    write_text(first, index)  # last: an index leads to pages that are there
    return len(everything) + 1


def _claims(card: Card, found: Sequence[Record]) -> list[dict[str, Any]]:
    """Each claim with its records, those of the largest scale first."""
    order = sorted(found, key=lambda r: SCALES.index(r.scale), reverse=True)
    return [
        {
            "claim": claim,
            "sections": [section(record) for record in order if record.claim == claim.key],
            "state": "not run" if claim.available() else "not built",
        }
        for claim in card.claims
    ]


def _row(card: Card, found: Sequence[Record]) -> dict[str, Any]:
    verdicts = [record.verdict for record in largest(found).values()]
    words = (card.slug, card.title, card.summary, *card.authors, *card.parts, *(claim.text for claim in card.claims))
    return {
        "card": card,
        "counts": {verdict: n for verdict in COLOURS if (n := sum(v == verdict for v in verdicts))},
        "words": " ".join(words).lower(),
    }
