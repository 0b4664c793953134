"""What the function of an ``Exact`` experiment returns: a list of numbers, each held to a limit."""

from typing import Any, TypedDict


class Check(TypedDict):
    """A row of a record: what was computed, what it is held to, and whether it keeps to that."""

    name: str
    value: float
    limit: float
    holds: bool


def check(name: str, value: Any, limit: Any, holds: Any) -> Check:
    """A check of any kind; numbers and truths of NumPy and torch become plain ones."""
    return {"name": name, "value": float(value), "limit": float(limit), "holds": bool(holds)}


def at_most(name: str, value: Any, limit: Any) -> Check:
    """Holds where the value does not exceed the limit (a NaN never holds)."""
    return check(name, value, limit, value <= limit)


def below(name: str, value: Any, limit: Any) -> Check:
    """Holds where the value stays below the limit (a NaN never does)."""
    return check(name, value, limit, value < limit)


def above(name: str, value: Any, limit: Any) -> Check:
    """Holds where the value exceeds the limit (a NaN never does)."""
    return check(name, value, limit, value > limit)


def equal(name: str, value: Any, wanted: Any) -> Check:
    """Holds where the value is the wanted one."""
    return check(name, value, wanted, value == wanted)
