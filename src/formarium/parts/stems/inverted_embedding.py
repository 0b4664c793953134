"""The inverted stem: one token for the whole window of one variate (Liu et al., iTransformer, arXiv 2310.06625)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.dropout import dropout
from formarium.parts.part import Part


class InvertedEmbedding(Part):
    """Windows (B, L, N) and covariates (B, L, C) to tokens (B, N + C, D), by one linear map of L steps shared by all.

    future: covariates known ahead (B, S, F) become F further tokens by a linear map of their S steps; an extension of
    ours, the paper has no place for them. Tokens stand in the order variates, covariates, future covariates.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        future: bool = False
        dropout: float = 0.1

    def __init__(self, width: int, history: int, horizon: int | None = None, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        if config.future and horizon is None:
            raise ConfigError("an inverted embedding of future covariates needs to know the horizon")
        self.embed = nn.Linear(history, width)
        self.embed_future = nn.Linear(horizon, width) if config.future and horizon is not None else None
        self.dropout = config.dropout

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        series = history if marks is None else torch.cat((history, marks.to(history.dtype)), dim=2)
        tokens = self.embed(series.transpose(1, 2))
        if self.embed_future is not None:
            if future_marks is None:
                raise ConfigError("this model was built with future covariates and needs them for every forecast")
            tokens = torch.cat((tokens, self.embed_future(future_marks.to(history.dtype).transpose(1, 2))), dim=1)
        return dropout(tokens, self.dropout, self.training)
