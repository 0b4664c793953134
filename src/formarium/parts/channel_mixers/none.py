"""No mixing of channels: what an ablation puts where the feed-forward was."""

from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig
from formarium.parts.part import ChannelMixer


class NoChannelMixer(ChannelMixer):
    """Adds nothing to the stream: (B, T, D) to zeros."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        pass

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)
