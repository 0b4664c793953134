"""No mixing of tokens: what an ablation puts where attention was."""

from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig
from formarium.context import Context, LayerState
from formarium.parts.part import TokenMixer


class NoTokenMixer(TokenMixer):
    """Adds nothing to the stream: (B, T, D) to zeros; tokens know nothing of each other."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        pass

    def __init__(self, causal: bool = False, config: Config | None = None) -> None:
        super().__init__()
        self.causal = causal

    def forward(self, x: Tensor, context: Context) -> Tensor:
        return torch.zeros_like(x)

    def step(self, x: Tensor, context: Context, state: LayerState) -> Tensor:
        return torch.zeros_like(x)

    def new_state(self, batch: int, capacity: int, like: Tensor) -> LayerState:
        return {}
