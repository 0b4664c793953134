"""The Transformer over patches of single series: PatchTST (Nie et al., ICLR 2023, arXiv 2211.14730)."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.models.forecaster import TransformerForecaster
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.batch_norm import BatchNorm
from formarium.parts.positions.learned import Learned
from formarium.parts.stems.time_patch_embedding import TimePatchEmbedding
from formarium.parts.token_mixers.attention import Attention


class PatchForecaster(TransformerForecaster):
    """Windows of any number of variates to their forecasts, each series by itself; see ``Forecaster`` for the shapes.

    Tokens are patches in time; the head is linear in all of them. Covariates are ignored. The defaults are the paper's
    for its larger data sets, with the shorter history that comparisons use.
    """

    @dataclass(frozen=True)
    class Config(TransformerForecaster.Config):
        width: int = 128
        depth: int = 3
        heads: int = 16
        patch: TimePatchEmbedding.Config = TimePatchEmbedding.Config(dropout=0.2)
        token_mixer: BaseConfig = Attention.Config(bias=True)
        channel_mixer: BaseConfig = FeedForward.Config(hidden=256, bias=True, dropout=0.2)
        norm: BaseConfig = BatchNorm.Config()
        position: BaseConfig = Learned.Config()
        dropout: float = 0.2
        head_dropout: float = 0.0

    model_type: ClassVar[str] = "formarium-patch-forecaster"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        stem = TimePatchEmbedding(config.width, config.history, config.patch)
        super().__init__(config, max_length=stem.patches)
        self.norm = nn.Identity()  # the last block ends in a norm
        self.stem = stem
        self.head = nn.Sequential(
            nn.Flatten(-2),
            nn.Dropout(config.head_dropout),
            nn.Linear(stem.patches * config.width, config.horizon * self.levels),
        )

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        x, statistics = self._normalised(history)
        tokens = self.stem(x.transpose(1, 2).flatten(0, 1))
        y = self.head(self._encode(tokens)).view(len(history), -1, self.config.horizon, self.levels)
        return self._restored(y.transpose(1, 2), statistics)
