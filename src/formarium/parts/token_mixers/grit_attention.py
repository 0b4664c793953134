"""Attention whose scores are made of pair features alone, which each layer rewrites (Ma et al. 2023, GRIT, 2305.17589).

Shapes: B graphs, N nodes, D width of nodes, E width of pairs, H heads of K channels.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.errors import FormariumError
from formarium.parts.dropout import dropout as drop
from formarium.parts.linear import FusedLinear, Linear, ResidualLinear, gradients, plain_training
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.part import Norm, Position, TokenMixer
from formarium.parts.token_mixers.attend import shares


class GritAttention(TokenMixer):
    """Attention among the nodes of a graph that reads and rewrites the features of its pairs: (B, N, D) to (B, N, D).

    With r(x) = sign(x) sqrt|x|, a pair's inner features are u_ij = relu(r((q_i + k_j) * w_ij) + b_ij), w_ij and b_ij
    maps of e_ij (eq. 2 of the paper). A vector for each head makes the score of u_ij; values are v_j and a map of
    u_ij; ``context.pairs`` becomes e_ij and a map of u_ij, for the layers behind.
    clamp: scores stay within it. degree_scaler: heads are multiplied by a + b log(1 + degree), channel by channel, with
    a = 1 and b = 0 at the start. norm: of e before it is read; the published model has batch normalisation behind both
    sums instead. hands_on: whether anybody reads the pairs behind this layer.
    Raises ConfigError for causal attention and with a position, of which it knows none, and FormariumError for a
    context without pair features, or whose pair features are made some rows at a time.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        clamp: float | None = 5.0
        degree_scaler: bool = True
        dropout: float = 0.0
        norm: BaseConfig = RMSNorm.Config()

    def __init__(
        self,
        width: int,
        heads: int,
        pair_width: int,
        position: Position | None = None,
        causal: bool = False,
        hands_on: bool = True,
        config: Config | None = None,
    ) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if width % heads:
            raise ConfigError(f"a width of {width} cannot be split among {heads} heads")
        if causal:
            raise ConfigError("GritAttention is for graphs, whose nodes have no order: it cannot be causal")
        if position is not None and position.acts:
            raise ConfigError(
                f"GritAttention reads features of pairs itself: set position=NoPE, not {type(position).__name__}"
            )
        self.heads, self.head_width = heads, width // heads
        self.kept_a_pair = 10 * width + 2 * pair_width
        self.qkv = FusedLinear(width, (width, width, width))
        self.query_offset = nn.Parameter(torch.zeros(width))
        self.norm = cast(Norm, config.norm.build(width=pair_width))
        self.pairs_in = FusedLinear(pair_width, (width, width), bias=True)
        self.pairs_out = ResidualLinear(width, pair_width) if hands_on else None
        spread = self.head_width**-0.5
        self.score = nn.Parameter(torch.randn(heads, self.head_width) * spread)
        self.pair_value = nn.Parameter(torch.randn(heads, self.head_width, self.head_width) * spread)
        self.degree = nn.Parameter(torch.tensor([1.0, 0.0]).repeat(width, 1)) if config.degree_scaler else None
        self.out = Linear(width, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        if context.pair_rows is not None:
            raise FormariumError(
                "GritAttention rewrites the features of all pairs, which for a graph of this size do not fit the memory"
            )
        if context.pairs is None:
            raise FormariumError(
                "GritAttention reads features of pairs, which the context of these tokens does not have"
            )
        batch, nodes, width = x.shape
        queries, keys, values = self.qkv(x)
        factor, offset = self.pairs_in(self.norm(context.pairs))
        inner = pair_features(queries + self.query_offset.to(queries.dtype), keys, factor, offset)
        # All heads at once, with zeros where one head's vector meets another's channels: no copy by head is made of
        # what is as large as all pairs.
        scores = (inner @ torch.block_diag(*self.score[..., None]).to(inner.dtype)).permute(0, 3, 1, 2)
        if self.config.clamp is not None:
            scores = scores.clamp(-self.config.clamp, self.config.clamp)
        weights = shares(scores, context.visible(causal=False)).to(x.dtype)
        weights = drop(weights, self.config.dropout, self.training)
        mixed = torch.einsum("bhts,bshk->bthk", weights, values.view(batch, nodes, self.heads, self.head_width))
        crossed = (weights.transpose(1, 2) @ inner).view(batch, nodes, self.heads, self.heads, self.head_width)
        of_pairs = crossed.diagonal(0, 2, 3)
        mixed = mixed + torch.einsum("btkh,hkl->bthl", of_pairs, self.pair_value.to(inner.dtype))
        mixed = mixed.reshape(batch, nodes, width)
        if self.degree is not None:
            if context.degrees is None:
                raise FormariumError(
                    "GritAttention scales by degrees of nodes, which the context of these tokens lacks"
                )
            logs = torch.log1p(context.degrees)[..., None].to(mixed.dtype)
            mixed = mixed * (self.degree[:, 0] + logs * self.degree[:, 1])
        if self.pairs_out is not None:
            context.pairs, context.pair_kinds = context.pairs + self.pairs_out(inner), None
        return cast(Tensor, self.out(mixed))


def pair_features(queries: Tensor, keys: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    """relu(r((q_i + k_j) w_ij) + b_ij) of q, k (B, N, D) and w, b (B, N, N, D): (B, N, N, D)."""
    if plain_training(queries, keys, factor, offset):
        inner: Tensor = _PairFeatures.apply(queries, keys, factor, offset)
        return inner
    return _plain_pair_features(queries, keys, factor, offset)


def _plain_pair_features(queries: Tensor, keys: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
    return torch.relu(signed_root((queries[:, :, None] + keys[:, None]) * factor) + offset)


def signed_root(x: Tensor) -> Tensor:
    """sign(x) sqrt|x|, with a gradient of 0 in place of infinity at 0."""
    # No root is taken of 0, whose infinite slope would make second derivatives no numbers.
    return x.sign() * torch.where(x == 0, 1.0, x.abs()).sqrt()


class _PairFeatures(torch.autograd.Function):
    """The same with its gradient written out: what is as large as all pairs is written a third as often."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, factor: Tensor, offset: Tensor) -> Tensor:
        product = _products(queries, keys, factor)
        root = product.abs().sqrt_().copysign_(product)
        inner = torch.add(root, offset, out=product).relu_()
        ctx.save_for_backward(queries, keys, factor, offset, root, inner)
        return inner

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, factor, offset, root, inner = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated once more: what was kept has no history
            again = _plain_pair_features(queries, keys, factor, offset)
            return gradients(ctx, again, (queries, keys, factor, offset), gradient)
        of_offset = gradient * (inner > 0)
        of_product = (of_offset / root.abs().mul_(2)).masked_fill_(root == 0, 0.0)
        of_factor = _products(queries, keys, of_product)
        of_both = of_product.mul_(factor)
        return of_both.sum(2), of_both.sum(1), of_factor, of_offset


def _products(queries: Tensor, keys: Tensor, factor: Tensor) -> Tensor:
    return (queries[:, :, None] + keys[:, None]).mul_(factor)
