"""The stem of temporal tokens: one token for all variates at one step (Zhou et al., Informer, arXiv 2012.07436)."""

from dataclasses import dataclass

from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.dropout import dropout
from formarium.parts.part import Part


class PointEmbedding(Part):
    """Series (B, T, N) and covariates (B, T, C) to tokens (B, T, D).

    kernel: how many steps, an odd number, a circular convolution over time sees (3 in Informer and its successors; 1 is
    a linear map of each step). Covariates enter by a linear map without bias.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        kernel: int = 3
        dropout: float = 0.1

    def __init__(self, width: int, variates: int, covariates: int = 0, config: Config | None = None) -> None:
        super().__init__()
        config = config or self.Config()
        if config.kernel < 1 or config.kernel % 2 == 0:
            raise ConfigError(f"the kernel of a point embedding is an odd number of steps, not {config.kernel}")
        self.embed = nn.Conv1d(
            variates, width, config.kernel, padding=config.kernel // 2, padding_mode="circular", bias=False
        )
        self.embed_marks = nn.Linear(covariates, width, bias=False) if covariates else None
        self.dropout = config.dropout

    def forward(self, series: Tensor, marks: Tensor | None = None) -> Tensor:
        tokens = self.embed(series.transpose(1, 2)).transpose(1, 2)
        if self.embed_marks is not None:
            if marks is None:
                raise ConfigError("this model was built with covariates and needs them for every forecast")
            tokens = tokens + self.embed_marks(marks.to(series.dtype))
        return dropout(tokens, self.dropout, self.training)
