"""Sinusoidal absolute positions (Vaswani et al. 2017, arXiv 1706.03762)."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.parts.part import Position
from formarium.parts.positions.rope_scaling import plain_frequencies


class Sinusoidal(Position):
    """Adds sin(m omega_i) to channel 2i and cos(m omega_i) to channel 2i + 1 of the token at position m.

    stripes: so many equal groups of channels each hold the whole scheme, with 2 pi s / stripes added to the angles of
    stripe s (a variant in the ablations of the Three-Phase Transformer, arXiv 2604.14430; our reconstruction).
    Raises ConfigError where they do not divide the width.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        base: float = 10000.0
        stripes: int = 1

    acts: ClassVar[frozenset[str]] = frozenset({"add"})

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if config.stripes < 1 or width % config.stripes:
            raise ConfigError(f"a width of {width} cannot be split into {config.stripes} equal stripes")
        self.width = width // config.stripes

    def add(self, x: Tensor, context: Context) -> Tensor:
        stripes = self.config.stripes
        frequencies = plain_frequencies(self.config.base, self.width + self.width % 2).to(x.device)
        offsets = torch.arange(stripes, dtype=frequencies.dtype, device=x.device) * (2 * math.pi / stripes)
        angles = context.positions[..., None, None] * frequencies + offsets[:, None]
        table = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)[..., : self.width]
        return x + table.flatten(-2).to(x.dtype)
