"""The Transformer over time: one token for all variates at one step, attention between steps.

The counterpart that the inverted Transformer is measured against (iTransformer, arXiv 2310.06625), with the same
switches. The published comparisons use the encoder-decoder of Informer (arXiv 2012.07436) without instance
normalisation; here an encoder of the same parts is enough, and normalisation is a setting.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.models.forecaster import TransformerForecaster
from formarium.parts.positions.sinusoidal import Sinusoidal
from formarium.parts.stems.point_embedding import PointEmbedding


class TemporalForecaster(TransformerForecaster):
    """Windows of ``variates`` series to their forecasts; see ``Forecaster`` for the shapes.

    covariates: how many enter each token; with 0 they are ignored. channel_independent: each series is a sequence of
    its own, all with the same weights, and their number is free. readout: ``linear`` maps the L steps of each channel
    to S, ``placeholders`` lets S empty tokens behind the history (with their covariates) take part, and reads those.
    """

    @dataclass(frozen=True)
    class Config(TransformerForecaster.Config):
        variates: int = 7
        covariates: int = 0
        channel_independent: bool = False
        readout: Literal["linear", "placeholders"] = "linear"
        kernel: int = 3
        position: BaseConfig = Sinusoidal.Config()

    model_type: ClassVar[str] = "formarium-temporal-forecaster"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        if config.variates < 1 or config.covariates < 0:
            raise ConfigError("a temporal forecaster has at least one variate and no fewer than 0 covariates")
        placeholders = config.readout == "placeholders"
        super().__init__(config, max_length=config.history + (config.horizon if placeholders else 0))
        together = 1 if config.channel_independent else config.variates
        stem = PointEmbedding.Config(kernel=config.kernel, dropout=config.dropout)
        self.stem = PointEmbedding(config.width, together, config.covariates, stem)
        self.time = None if placeholders else nn.Linear(config.history, config.horizon)
        self.head = nn.Linear(config.width, together * self.levels)

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        config, (batch, _, variates) = self.config, history.shape
        if not config.channel_independent and variates != config.variates:
            raise ConfigError(f"this model was built for {config.variates} variates, not {variates}")
        x, statistics = self._normalised(history)
        if not config.covariates:
            marks = future_marks = None
        if config.channel_independent:
            x = x.transpose(1, 2).reshape(batch * variates, -1, 1)
            marks, future_marks = (m if m is None else m.repeat_interleave(variates, 0) for m in (marks, future_marks))
        if self.time is None:
            x = torch.cat((x, x.new_zeros(len(x), config.horizon, x.shape[2])), dim=1)
            if marks is not None:
                if future_marks is None:
                    raise ConfigError("placeholders of the steps ahead need the covariates of those steps")
                marks = torch.cat((marks, future_marks), dim=1)
            z = self._encode(self.stem(x, marks))[:, config.history :]
        else:
            z = self.time(self._encode(self.stem(x, marks)).transpose(1, 2)).transpose(1, 2)
        y = self.head(z).unflatten(-1, (-1, self.levels))  # (B, S, N, levels), or (B N, S, 1, levels)
        if config.channel_independent:
            y = y.view(batch, variates, config.horizon, self.levels).transpose(1, 2)
        return self._restored(y, statistics)
