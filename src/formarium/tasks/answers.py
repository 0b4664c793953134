"""Answers of a classifier as columns of a table."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor


def of_classes(scores: Tensor, classes: Sequence[str], every_class: bool = False) -> dict[str, list[Any]]:
    """The likeliest class of each row of scores (n, classes) and its probability; every_class: those of all as well."""
    shares = scores.softmax(-1)
    best, place = shares.max(-1)
    found: dict[str, list[Any]] = {"answer": [classes[i] for i in place.tolist()], "probability": best.tolist()}
    if every_class:
        found |= {f"probability_{name}": shares[:, i].tolist() for i, name in enumerate(classes)}
    return found
