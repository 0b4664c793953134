"""Learned absolute positions: a table of vectors added to the tokens (Gehring et al. 2017, arXiv 1705.03122)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.parts.part import Position


class Learned(Position):
    """Adds row m of a trainable (length, D) table to the token at position m; rows start at N(0, std^2).

    Raises ConfigError for positions beyond the table.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        length: int | None = None
        std: float = 0.02

    acts: ClassVar[frozenset[str]] = frozenset({"add"})

    def __init__(self, width: int, max_length: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        self.weight = nn.Parameter(torch.randn(config.length or max_length, width) * config.std)

    def add(self, x: Tensor, context: Context) -> Tensor:
        check_within_table(context.positions, len(self.weight), "Learned positions")
        return x + self.weight[context.positions].to(x.dtype)


def check_within_table(positions: Tensor, length: int, what: str) -> None:
    """ConfigError where a position has no row in a table of ``length`` rows (not checked inside a compiled graph)."""
    if not torch.compiler.is_compiling() and positions.numel() and int(positions.max()) >= length:
        raise ConfigError(f"{what} reach to {length - 1}; the sequence goes to position {int(positions.max())}")
