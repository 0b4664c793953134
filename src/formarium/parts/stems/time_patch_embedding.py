"""The stem of patches in time: one token for a few neighbouring steps (Nie et al., PatchTST, arXiv 2211.14730)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.dropout import dropout
from formarium.parts.part import Part


class TimePatchEmbedding(Part):
    """Single series (B, L) to tokens (B, P, D) with P = (L - length) // stride + 2.

    The last value is repeated ``stride`` times behind the series, so that the newest steps are in a patch too.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        length: int = 16
        stride: int = 8
        dropout: float = 0.0

    def __init__(self, width: int, history: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if not 1 <= config.stride <= config.length <= history:
            raise ConfigError(
                f"patches of {config.length} steps every {config.stride} do not fit a history of {history}: a patch is "
                "no longer than the history, and no shorter than the stride"
            )
        self.patches = (history - config.length) // config.stride + 2
        self.embed = nn.Linear(config.length, width)

    def forward(self, series: Tensor) -> Tensor:
        config = self.config
        padded = F.pad(series[:, None], (0, config.stride), mode="replicate")[:, 0]
        return dropout(self.embed(padded.unfold(1, config.length, config.stride)), config.dropout, self.training)
