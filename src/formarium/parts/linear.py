"""Linear maps that know what an optimiser and an initialiser should know of them, by the fastest product there is."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FEWEST_PRODUCTS = 1 << 24  # of two numbers: in smaller maps calling oneDNN costs more than it saves


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: (..., D) to (..., D').

    A single row, as in decoding, goes through a product with a vector. Training in float32 on a CPU it goes through
    oneDNN, whose products are some 8 % faster than those torch takes.
    """
    if _through_onednn(x, weight):
        product: Tensor = _OneDNNLinear.apply(x, weight, bias)
        return product
    if bias is None and _is_one_row(x):
        row = x.reshape(-1)
        # Written out, a compiler makes one loop of the product and of what surrounds it.
        product = (weight * row).sum(-1) if torch.compiler.is_compiling() else torch.mv(weight, row)
        return product.view(*x.shape[:-1], len(weight))
    return F.linear(x, weight, bias)


class Linear(nn.Linear):
    """A linear map (..., D) to (..., D')."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


class FusedLinear(Linear):
    """Several linear maps of the same input in one matrix product: (..., D) to a list of (..., D_i).

    ``splits`` are the output widths D_i; optimisers that act on whole matrices treat each part of the rows by itself.
    """

    def __init__(self, width: int, splits: Sequence[int], bias: bool = False) -> None:
        super().__init__(width, sum(splits), bias=bias)
        self.splits = list(splits)

    def forward(self, input: Tensor) -> list[Tensor]:  # type: ignore[override]
        return list(self.joined(input).split(self.splits, dim=-1))

    def joined(self, input: Tensor) -> Tensor:
        """The outputs side by side, (..., sum of D_i)."""
        return super().forward(input)


class ResidualLinear(Linear):
    """A linear map that writes into the residual stream: initialised smaller as the network gets deeper."""


def plain_training(*tensors: Tensor) -> bool:
    """Whether a formula of our own may stand in for autograd's: eager training in float32 on a CPU.

    Compilers, autocast, function transforms and forward-mode differentiation want to see the plain operations.
    """
    return (
        all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)
        and torch.is_grad_enabled()
        and any(t.requires_grad for t in tensors)
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and torch.autograd.forward_ad._current_level < 0
    )


def gradients(ctx: Any, result: Tensor, inputs: Sequence[Tensor], gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of the first inputs of a formula, to be differentiated once more; None for those that need none."""
    needed = ctx.needs_input_grad[: len(inputs)]
    found = iter(
        torch.autograd.grad(
            result, [x for x, asked in zip(inputs, needed, strict=True) if asked], gradient, create_graph=True
        )
    )
    return tuple(next(found) if asked else None for asked in needed)


def _is_one_row(x: Tensor) -> bool:
    alone = x.numel() == x.shape[-1] and x.device.type == "cpu" and not torch.is_grad_enabled()
    return alone and not torch.is_autocast_enabled("cpu")


def _through_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        plain_training(x, weight)
        and x.numel() * len(weight) >= _FEWEST_PRODUCTS
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


class _OneDNNLinear(torch.autograd.Function):
    """x W^T + b; the gradient of x by oneDNN too, that of W by torch, which is as fast there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            # Differentiated once more, the product must be one that autograd knows.
            of_x = gradient @ weight if torch.is_grad_enabled() else _product(gradient, weight.t())
        if ctx.needs_input_grad[1]:
            of_weight = gradient.flatten(0, -2).t() @ x.flatten(0, -2)
        if ctx.needs_input_grad[2]:
            of_bias = gradient.flatten(0, -2).sum(0)
        return of_x, of_weight, of_bias
