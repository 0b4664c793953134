"""The inverted Transformer: one token for each variate's whole history, attention between variates.

iTransformer (Liu et al., ICLR 2024, arXiv 2310.06625) and, by its ``token_mixer``, iInformer (ProbSparseAttention),
iReformer (LSHAttention), iFlowformer (FlowAttention) and iFlashformer (BlockwiseAttention).
"""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from formarium.block import Block
from formarium.config import ConfigError
from formarium.context import Context
from formarium.models.forecaster import TransformerForecaster
from formarium.parts.stems.inverted_embedding import InvertedEmbedding
from formarium.parts.token_mixers.attention import Attention


class InvertedForecaster(TransformerForecaster):
    """Windows of any number of variates to their forecasts; see ``Forecaster`` for the shapes.

    The number of variates is no shape of any parameter: it may differ between training and use. covariates: each
    becomes a token too, not normalised, and has no forecast; without it they are ignored. future_covariates: those
    known ahead become further tokens (an extension; the paper's token is the past). tokens: how many there always are,
    for token mixers that must know. The defaults are the paper's for ETTh1.
    """

    @dataclass(frozen=True)
    class Config(TransformerForecaster.Config):
        covariates: bool = True
        future_covariates: bool = False
        tokens: int | None = None

    model_type: ClassVar[str] = "formarium-inverted-forecaster"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config, max_length=config.tokens)
        stem = InvertedEmbedding.Config(future=config.future_covariates, dropout=config.dropout)
        self.stem = InvertedEmbedding(config.width, config.history, config.horizon, stem)
        self.head = nn.Linear(config.width, config.horizon * self.levels)

    def forward(self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None) -> Tensor:
        variates = history.shape[-1]
        x, statistics = self._normalised(history)
        tokens = self.stem(x, marks if self.config.covariates else None, future_marks)
        y = self.head(self._encode(tokens, keep=variates))  # (B, N, S * levels)
        y = y.unflatten(-1, (self.config.horizon, self.levels)).transpose(1, 2)
        return self._restored(y, statistics)

    @torch.no_grad()
    def attention(
        self, history: Tensor, marks: Tensor | None = None, future_marks: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """For each block how much variates attend to each other, (B, H, N, N); covariates take what lacks to 1.

        Raises ConfigError for mixers that have no attention weights.
        """
        weights: list[Tensor] = []

        def record(mixer: nn.Module, given: tuple[Tensor, Context]) -> None:
            assert isinstance(mixer, Attention)
            weights.append(mixer.weights(*given))

        mixers = [cast(Block, block).token_mixer for block in self.blocks]
        other = next((m for m in mixers if not isinstance(m, Attention)), None)
        if other is not None:
            raise ConfigError(f"{type(other).__name__} has no attention weights to show")
        hooks = [mixer.register_forward_pre_hook(record) for mixer in mixers]
        try:
            self(history, marks, future_marks)
        finally:
            for hook in hooks:
                hook.remove()
        return tuple(w[:, :, : history.shape[-1], : history.shape[-1]] for w in weights)
