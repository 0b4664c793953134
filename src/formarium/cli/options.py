"""What several commands read in the same way."""

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from formarium.config import BaseConfig, ConfigError, parse
from formarium.errors import DataError


def settings(pairs: Iterable[str]) -> dict[str, str]:
    """``["context=256", "position=RoPE(base=5e5)"]`` as a mapping; ConfigError for one without "="."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"{pair!r} is not of the form name=value")
        found[name.strip()] = value.strip()
    return found


def split_settings(text: str) -> list[str]:
    """``"a=1,b=F(x=2,y=3)"`` as ``["a=1", "b=F(x=2,y=3)"]``: split at commas outside brackets."""
    pieces, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            pieces.append(text[start:index])
            start = index + 1
    return [*pieces, text[start:]]


def task(text: str, changes: Sequence[str] = ()) -> BaseConfig:
    """A task written as ``language``, ``Language`` or ``Language(context=256)``, with further settings."""
    from formarium.tasks import Task

    config = parse(re.sub(r"^[a-z]", lambda m: m.group().upper(), text.strip()))
    if not (isinstance(config.builds, type) and issubclass(config.builds, Task)):
        raise ConfigError(f"{config.name()!r} is not a task, as language is")
    return config.override(settings(changes))


def folder_of_model(path: Path) -> Path:
    """The folder, if it holds a model; DataError otherwise."""
    if not (path / "config.json").is_file():
        raise DataError(f"there is no model at {path}: it has no config.json")
    return path


def jsonable(value: Any) -> Any:
    """Numbers rounded to six digits for reading, those that JSON has not as None; containers likewise."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: jsonable(v) for k, v in value.items()}
    return [jsonable(v) for v in value] if isinstance(value, list) else value
