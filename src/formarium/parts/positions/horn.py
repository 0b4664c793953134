"""Absolute positions in the mean over the channels alone (Abu Ayyash 2026, arXiv 2604.14430)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.parts.part import Position
from formarium.parts.positions.learned import check_within_table


class Horn(Position):
    """Sets the mean over the channels of the token at position m to 1 / (m + 1) and leaves all other directions.

    The profile is that of Gabriel's horn. profile: ``horn``, or ``zero``, which takes the mean away and puts nothing in
    its place (the hard zero mean of the paper's ablations). learned: the profile is a trainable table that starts
    there, one number for each position up to the model's ``max_length``; ConfigError for positions beyond.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        profile: Literal["horn", "zero"] = "horn"
        learned: bool = False

    acts: ClassVar[frozenset[str]] = frozenset({"add"})

    def __init__(self, max_length: int | None = None, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        self.weight: nn.Parameter | None = None
        if config.learned:
            if max_length is None:
                raise ConfigError("a learned Horn needs a max_length, which its surroundings do not give")
            self.weight = nn.Parameter(self._profile(torch.arange(max_length + 1), torch.float32))

    def _profile(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        if self.config.profile == "zero":
            return torch.zeros_like(positions, dtype=dtype)
        return 1 / (positions.to(torch.promote_types(dtype, torch.float32)) + 1)

    def add(self, x: Tensor, context: Context) -> Tensor:
        if self.weight is None:
            profile = self._profile(context.positions, x.dtype)
        else:
            check_within_table(context.positions, len(self.weight), "the positions of a learned Horn")
            profile = self.weight[context.positions]
        mean = x.mean(dim=-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32))
        return x + (profile[..., None] - mean).to(x.dtype)
