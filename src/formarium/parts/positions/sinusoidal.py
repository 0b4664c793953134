"""Sinusoidal absolute positions (Vaswani et al. 2017, arXiv 1706.03762)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from formarium.config import BaseConfig
from formarium.context import Context
from formarium.parts.part import Position
from formarium.parts.positions.rope_scaling import plain_frequencies


class Sinusoidal(Position):
    """Adds sin(m omega_i) to channel 2i and cos(m omega_i) to channel 2i + 1 of the token at position m."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        base: float = 10000.0

    acts: ClassVar[frozenset[str]] = frozenset({"add"})

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        self.base, self.width = (config or self.Config()).base, width

    def add(self, x: Tensor, context: Context) -> Tensor:
        even = self.width + self.width % 2
        angles = context.positions[..., None] * plain_frequencies(self.base, even).to(x.device)
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., : self.width]
        return x + table.to(x.dtype)
