"""RMS normalisation that can let magnitudes through (Ma et al. 2025, PPGT, arXiv 2504.12588)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig
from formarium.parts.linear import plain_training
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
        if plain_training(x, self.alpha, self.beta):
            normed: Tensor = _Normed.apply(x, self.alpha, self.beta, self.eps)
            return normed
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        gain, size = _squares(wide, self.alpha, self.beta, self.eps)
        return (wide * (gain / size).sqrt()).to(x.dtype)


def _squares(x: Tensor, alpha: Tensor, beta: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The squares of rms(alpha x + beta) and rms(x), each (..., 1) and times D, which their ratio does not see."""
    inner = torch.addcmul(beta, alpha, x)
    gain, size = ((y * y).sum(-1, keepdim=True) for y in (inner, x))
    return gain + eps * x.shape[-1], size + eps * x.shape[-1]


class _Normed(torch.autograd.Function):
    """The norm with its gradient written out, in a third of the operations that autograd takes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, beta: Tensor, eps: float) -> Tensor:
        gain, size = _squares(x, alpha, beta, eps)
        factor = (gain / size).sqrt_()
        ctx.save_for_backward(x, alpha, beta, gain, size, factor)
        ctx.eps = eps
        return x * factor

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, alpha, beta, gain, size, factor = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated once more: what was kept has no history
            gain, size = _squares(x, alpha, beta, ctx.eps)
            factor = (gain / size).sqrt()
        through = (gradient * x).sum(-1, keepdim=True) * factor
        of_gain, of_size = through / gain, through / size
        inner = torch.addcmul(alpha * beta, alpha.square(), x)
        of_x = torch.addcmul(gradient * factor, inner, of_gain).addcmul_(x, of_size, value=-1)
        rows, share = x.reshape(-1, x.shape[-1]), of_gain.flatten()
        once, twice = share @ rows, share @ (rows * rows)
        return of_x, alpha * twice + beta * once, alpha * once + beta * share.sum(), None
