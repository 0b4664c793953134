"""Batch normalisation of tokens (Ioffe and Szegedy 2015, arXiv 1502.03167)."""

from dataclasses import dataclass

from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.errors import DataError
from formarium.parts.part import Norm


class BatchNorm(Norm):
    """Each channel to mean 0 and variance 1 over all tokens of the batch: (..., D) to (..., D).

    Evaluation uses the running mean and variance; ``momentum`` is the share of the newest batch in them. Raises
    DataError for a training batch of one token.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        eps: float = 1e-5
        momentum: float = 0.1

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        self.norm = nn.BatchNorm1d(width, eps=config.eps, momentum=config.momentum)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[-1]:
            raise DataError(
                "batch normalisation learns from the spread of several tokens, and this batch has one; take larger ones"
            )
        normed: Tensor = self.norm(x.reshape(-1, x.shape[-1]))
        return normed.view_as(x)
