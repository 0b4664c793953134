"""The published verdicts at a glance, read without anything heavy."""

import json
from pathlib import Path

from formarium.lab.claim import SCALES


def published() -> Path:
    """The folder of records that come with the library."""
    inside = Path(__file__).parents[1] / "records"
    return inside if inside.exists() else Path(__file__).parents[3] / "records"


def published_verdicts() -> dict[str, dict[str, str]]:
    """Paper to claim to verdict, of the largest scale at which each claim was put to the proof."""
    order = {scale: rank for rank, scale in enumerate(SCALES)}
    best: dict[tuple[str, str], tuple[int, str]] = {}
    for path in published().glob("*/*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        key = (str(data["paper"]), str(data["claim"]))
        rank = order.get(data["scale"], -1)
        if rank >= best.get(key, (-1, ""))[0]:
            best[key] = (rank, str(data["verdict"]))
    found: dict[str, dict[str, str]] = {}
    for (paper, claim), (_, verdict) in sorted(best.items()):
        found.setdefault(paper, {})[claim] = verdict
    return found
