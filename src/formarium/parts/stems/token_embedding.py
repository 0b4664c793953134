"""The stem of language models: one trainable vector a token of the vocabulary."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, check_from_0
from formarium.parts.dropout import check_share
from formarium.parts.part import Part


class TokenEmbedding(Part):
    """Token numbers (B, T) to vectors (B, T, D); optionally multiplied by sqrt(D), as in the original Transformer.

    std: of the vectors at the start, 1 where None. Raises ConfigError where it, or dropout, is out of range.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        scale: Literal["one", "sqrt_width"] = "one"
        std: float | None = None
        dropout: float = 0.0

    def __init__(self, width: int, vocabulary: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config or self.Config()
        self.weight = nn.Parameter(torch.empty(vocabulary, width))
        self.factor = width**0.5 if self.config.scale == "sqrt_width" else 1.0
        std = 1.0 if self.config.std is None else self.config.std
        check_from_0(std, "the std that a table of vectors starts with")
        check_share(self.config.dropout)
        nn.init.normal_(self.weight, std=std)

    def forward(self, tokens: Tensor) -> Tensor:
        x = F.embedding(tokens, self.weight)
        if self.factor != 1.0:
            x = x * self.factor
        return F.dropout(x, self.config.dropout, self.training) if self.config.dropout else x
