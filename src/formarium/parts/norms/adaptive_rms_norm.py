"""RMS normalisation that can let magnitudes through (Ma et al. 2025, PPGT, arXiv 2504.12588)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.parts.part import Norm


class AdaRMSNorm(Norm):
    """x / rms(x) * rms(alpha x + beta), with rms(u) = sqrt(mean(u^2) + eps), over the last axis: (..., D) to (..., D).

    The gain is one number a token, made of the token before it is normalised. At the start (alpha 0, beta 1) this is
    RMS normalisation without a gain, for which x and c x are the same; alpha 1 and beta 0 leave x as it is.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        eps: float = 1e-6

    def __init__(self, width: int, config: Config | None = None) -> None:
        super().__init__()
        self.eps = (config or self.Config()).eps
        self.alpha = nn.Parameter(torch.zeros(width))
        self.beta = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        gain = torch.addcmul(self.beta, self.alpha, wide).square().mean(-1, keepdim=True) + self.eps
        size = wide.square().mean(-1, keepdim=True) + self.eps
        return (wide * (gain / size).sqrt()).to(x.dtype)
