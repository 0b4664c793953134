"""The fixed activations of common use; GELU is the exact erf form (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import BaseConfig
from formarium.parts.part import Activation


class GELU(Activation):
    """x Phi(x): exact, by the tanh approximation, or as x sigmoid(1.702 x) (``quick``): (..., D) to (..., D)."""

    @dataclass(frozen=True)
    class Config(BaseConfig):
        form: Literal["exact", "tanh", "quick"] = "exact"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.form = (config or self.Config()).form

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "quick":
            return x * torch.sigmoid(1.702 * x)
        return F.gelu(x, approximate="tanh" if self.form == "tanh" else "none")


class ReLU(Activation):
    """max(x, 0): (..., D) to (..., D)."""

    def __init__(self, config: BaseConfig | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x)


class SquaredReLU(Activation):
    """max(x, 0)^2 (So et al. 2021, Primer, arXiv 2109.08668): (..., D) to (..., D)."""

    def __init__(self, config: BaseConfig | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).square()


class SiLU(Activation):
    """x sigmoid(x): (..., D) to (..., D)."""

    def __init__(self, config: BaseConfig | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x)
