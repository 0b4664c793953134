"""Dropout (Srivastava et al. 2014) that does not wait for random numbers on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import ConfigError

_LEVELS = 1 << 16


def check_share(share: float, what: str = "dropout") -> None:
    """ConfigError unless it is a share from 0 to 1."""
    if not 0 <= share <= 1:
        raise ConfigError(f"{what} is a share from 0 to 1, not {share:g}")


def dropout(x: Tensor, share: float, training: bool = True) -> Tensor:
    """A random ``share`` of the numbers to 0 and the others scaled up, so that the mean stays: (...) to (...).

    As in torch; but in eager mode on a CPU, where drawing a float for each number takes longer than a matrix product,
    a number gets 16 random bits, and the share is rounded to a multiple of 2^-16.
    """
    if not training or not share:
        return x
    check_share(share)
    drawn = round(share * _LEVELS)
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not 0 < drawn < _LEVELS:
        return F.dropout(x, share)
    words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    bits = words.view(torch.int16)[: x.numel()].view(x.shape)
    kept = torch.ge(bits, drawn - _LEVELS // 2).to(x.dtype)
    return x * kept.mul_(_LEVELS / (_LEVELS - drawn))


class Dropout(nn.Module):
    """``dropout`` while training; ConfigError for what is no share."""

    def __init__(self, share: float) -> None:
        super().__init__()
        check_share(share)
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.share, self.training)

    def extra_repr(self) -> str:
        return f"{self.share:g}"
