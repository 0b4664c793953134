"""The papers: one file each, with its card and its claims. Reading them needs no torch."""

import importlib
import pkgutil
from functools import cache

from formarium.config import suggestion
from formarium.errors import FormariumError
from formarium.lab.claim import Card


@cache
def cards() -> tuple[Card, ...]:
    """All cards, newest paper first."""
    names = (info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
    found = (getattr(importlib.import_module(f"{__name__}.{name}"), "CARD", None) for name in names)
    return tuple(sorted((c for c in found if isinstance(c, Card)), key=lambda c: (c.date, c.slug), reverse=True))


def card(slug: str) -> Card:
    """The card of a paper by its slug, in whatever case; FormariumError, with the nearest slug, for an unknown one."""
    known = {c.slug: c for c in cards()}
    if slug.lower() not in known:
        raise FormariumError(f"there is no paper {slug!r}{suggestion(slug, known)}")
    return known[slug.lower()]
