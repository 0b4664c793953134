"""Attention with a bias and a gate for each pair, for training on a CPU: exact, its gradient written out.

Products whose result is a few channels wide, as heads are, are slow, and so is the softmax of torch over short rows.
Here channels come before tokens, and heads before graphs as ``PairBias`` lays out its features. With 8 heads of 8
channels and 32 graphs of 15 nodes a forward and backward pass takes half as long as through autograd.
"""

from typing import Any

import torch
from torch import Tensor

from formarium.parts.linear import plain_training

_VECTOR = 16  # numbers; of shorter rows torch takes the softmax one number at a time


def suits(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, factor: Tensor) -> bool:
    """Whether ``attend_gated`` applies: training, one key head a query head, bias and factor for each pair."""
    pairs = (*queries.shape[:3], keys.shape[2])
    return (
        queries.shape[1] == keys.shape[1]
        and bias.shape == factor.shape == pairs
        and plain_training(queries, keys, values, bias, factor)
    )


def attend_gated(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    bias: Tensor,
    factor: Tensor,
    hidden: Tensor | None,
    scale: float,
    key_norm: float = 0.0,
) -> Tensor:
    """(softmax(scale (q k^T - key_norm |k|^2) + bias + hidden) * factor) v: (B, H, T, V).

    queries, keys, values: (B, H, T or S, K or V). bias, factor: (B, H, T, S). hidden: broadcastable to them, without a
    gradient.
    """
    mixed: Tensor = _Gated.apply(queries, keys, values, bias, factor, hidden, scale, key_norm)
    return mixed


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        bias: Tensor,
        factor: Tensor,
        hidden: Tensor | None,
        scale: float,
        key_norm: float,
    ) -> Tensor:
        batch, heads, _, total = bias.shape
        q, k, v = (_flat(x.mT) for x in (queries, keys, values))
        added = None if hidden is None else hidden.transpose(0, 1)
        if key_norm:
            norms = (k.square().sum(1) * (-scale * key_norm)).view(heads, batch, 1, total)
            added = norms if added is None else norms + added
        scores = bias.transpose(0, 1) if added is None else bias.transpose(0, 1) + added
        weights = _softmax(torch.baddbmm(scores.flatten(0, 1), q.mT, k, alpha=scale))
        gated = weights * _flat(factor)
        ctx.save_for_backward(queries, keys, values, bias, factor, hidden, q, k, v, weights, gated)
        ctx.scale, ctx.key_norm = scale, key_norm
        return _unflat(torch.bmm(v, gated.mT), heads).mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, bias, factor, hidden, q, k, v, weights, gated = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated once more: through operations that autograd knows
            scores = queries @ keys.mT - ctx.key_norm * keys.square().sum(-1)[:, :, None]
            scores = scores * ctx.scale + (bias if hidden is None else bias + hidden)
            mixed = (torch.softmax(scores, dim=-1) * factor) @ values
            given = (queries, keys, values, bias, factor)
            return *torch.autograd.grad(mixed, given, gradient, create_graph=True), None, None, None
        g = _flat(gradient.mT)
        of_gated = torch.bmm(g.mT, v)
        of_factor = of_gated * weights
        of_scores = of_gated.mul_(gated)
        of_scores.addcmul_(weights, of_scores.sum(-1, keepdim=True), value=-1)
        of_q, of_k, of_v = torch.bmm(k, of_scores.mT), torch.bmm(q, of_scores), torch.bmm(g, gated)
        if ctx.key_norm:
            of_k.addcmul_(k, of_scores.sum(1, keepdim=True), value=-2 * ctx.key_norm)
        heads = bias.shape[1]
        of_q, of_k, of_v = (_unflat(x, heads).mT for x in (of_q.mul_(ctx.scale), of_k.mul_(ctx.scale), of_v))
        return of_q, of_k, of_v, _unflat(of_scores, heads), _unflat(of_factor, heads), None, None, None


def _flat(x: Tensor) -> Tensor:
    """(B, H, ...) as (H B, ...)."""
    return x.transpose(0, 1).flatten(0, 1)


def _unflat(x: Tensor, heads: int) -> Tensor:
    """(H B, ...) as (B, H, ...)."""
    return x.unflatten(0, (heads, -1)).transpose(0, 1)


def _softmax(scores: Tensor) -> Tensor:
    if scores.shape[-1] >= _VECTOR:
        return torch.softmax(scores, dim=-1)
    weights = (scores - scores.amax(-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(-1, keepdim=True))
