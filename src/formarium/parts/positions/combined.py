"""Several positions at once, as an embedding of absolute places under a rotation of queries and keys."""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, LayerState
from formarium.parts.part import Position


class Combined(Position):
    """All of ``parts`` in their order: what they add is added, turns follow one another, biases sum, scales multiply.

    One instance serves all layers only if that holds for every part.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        parts: tuple[BaseConfig, ...] = ()

    def __init__(self, config: Config | None = None, **surroundings: Any) -> None:
        super().__init__()
        config = config or self.Config()
        self.parts = nn.ModuleList(part.build(**surroundings) for part in config.parts)
        if not all(isinstance(part, Position) for part in self.parts):
            raise ConfigError("Combined takes positions only")
        self.acts = frozenset().union(*(part.acts for part in self._all))  # type: ignore[misc]
        self.shared = all(part.shared for part in self._all)
        self.causal_only = any(part.causal_only for part in self._all)  # type: ignore[misc]

    @property
    def _all(self) -> list[Position]:
        return cast(list[Position], list(self.parts))

    def add(self, x: Tensor, context: Context) -> Tensor:
        for part in self._all:
            x = part.add(x, context)
        return x

    def prepare(self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None) -> list[Any]:
        return [part.prepare(context, hidden, state) for part in self._all]

    def turn(self, queries: Tensor, keys: Tensor, prepared: list[Any]) -> tuple[Tensor, Tensor]:
        for part, own in zip(self._all, prepared, strict=True):
            queries, keys = part.turn(queries, keys, own)
        return queries, keys

    def bias(self, prepared: list[Any]) -> Tensor | None:
        return _joined([part.bias(own) for part, own in zip(self._all, prepared, strict=True)], operator.add)

    def scale(self, prepared: list[Any]) -> Tensor | None:
        return _joined([part.scale(own) for part, own in zip(self._all, prepared, strict=True)], operator.mul)


def _joined(found: list[Tensor | None], join: Callable[[Tensor, Tensor], Tensor]) -> Tensor | None:
    present = [tensor for tensor in found if tensor is not None]
    return functools.reduce(join, present) if present else None
