"""Attention with a bias and a gate for each pair, for training on a CPU: exact, its gradient written out.

Products whose result is a few channels wide, as heads are, are slow, and so is the softmax of torch over short rows.
Here channels come before tokens, and heads before graphs as ``PairBias`` lays out what it prepares. With 8 heads of 8
channels and 32 graphs a forward and backward pass of the mixer took 1.8 ms against 3.4 ms through autograd at 15 nodes,
2.6 ms against 3.3 ms at 23, on one core.
"""

from typing import Any

import torch
from torch import Tensor

from formarium.parts.linear import gradients
from formarium.parts.token_mixers.attend import attend
from formarium.parts.token_mixers.distance import with_key_norms

_VECTOR = 16  # numbers; of shorter rows torch takes the softmax one number at a time


def pair_attend(
    joined: Tensor, bias: Tensor, factor: Tensor, hidden: Tensor | None, scale: float, key_norm: float
) -> Tensor:
    """(softmax(scale (q k^T - key_norm |k|^2) + bias + hidden) * factor) v, the heads side by side: (B, T, H K).

    joined: (B, T, 3 H K), queries, keys and values of all heads. bias, factor: (B, H, T, T). hidden: broadcastable to
    them, without a gradient.
    """
    mixed: Tensor = _PairAttention.apply(joined, bias, factor, hidden, scale, key_norm)
    return mixed


class _PairAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, joined: Tensor, bias: Tensor, factor: Tensor, hidden: Tensor | None, scale: float, key_norm: float
    ) -> Tensor:
        batch, heads, length, _ = bias.shape
        qkv = joined.unflatten(2, (3, heads, -1)).permute(2, 3, 0, 4, 1).contiguous().flatten(1, 2)
        q, k, v = qkv
        added = None if hidden is None else hidden.transpose(0, 1)
        if key_norm:
            norms = (k.square().sum(1) * (-scale * key_norm)).view(heads, batch, 1, length)
            added = norms if added is None else norms + added
        scores = bias.transpose(0, 1) if added is None else bias.transpose(0, 1) + added
        weights = _softmax(torch.baddbmm(scores.flatten(0, 1), q.mT, k, alpha=scale))
        gated = weights * factor.transpose(0, 1).flatten(0, 1)
        ctx.save_for_backward(joined, bias, factor, hidden, qkv, weights, gated)
        ctx.scale, ctx.key_norm = scale, key_norm
        mixed: Tensor = torch.bmm(v, gated.mT).unflatten(0, (heads, batch))
        return mixed.permute(1, 3, 0, 2).flatten(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        joined, bias, factor, hidden, qkv, weights, gated = ctx.saved_tensors
        batch, heads, length, _ = bias.shape
        if torch.is_grad_enabled():  # to be differentiated once more: through operations that autograd knows
            q, k, v = joined.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
            q, k = with_key_norms(q, k, ctx.key_norm) if ctx.key_norm else (q, k)
            added = bias if hidden is None else bias + hidden
            mixed = attend(q, k, v, bias=added, factor=factor, scale=ctx.scale).transpose(1, 2).flatten(2)
            return *gradients(ctx, mixed, (joined, bias, factor), gradient), None, None, None
        q, k, v = qkv
        g = gradient.unflatten(2, (heads, -1)).permute(2, 0, 3, 1).flatten(0, 1)
        of_gated = torch.bmm(g.mT, v)
        of_factor = of_gated * weights
        of_scores = of_gated.mul_(gated)
        of_scores.addcmul_(weights, of_scores.sum(-1, keepdim=True), value=-1)
        of_qkv = torch.empty_like(qkv)
        of_q, of_k, of_v = of_qkv
        torch.bmm(k, of_scores.mT, out=of_q)
        torch.bmm(q, of_scores, out=of_k)
        torch.bmm(g, gated, out=of_v)
        if ctx.key_norm:
            of_k.addcmul_(k, of_scores.sum(1, keepdim=True), value=-2 * ctx.key_norm)
        of_qkv[:2].mul_(ctx.scale)
        of_joined = of_qkv.unflatten(1, (heads, batch)).permute(2, 4, 0, 1, 3).reshape(joined.shape)
        of_bias, of_factor = (x.view(heads, batch, length, length).transpose(0, 1) for x in (of_scores, of_factor))
        return of_joined, of_bias, of_factor, None, None, None


def _softmax(scores: Tensor) -> Tensor:
    if scores.shape[-1] >= _VECTOR:
        return torch.softmax(scores, dim=-1)
    weights = (scores - scores.amax(-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(-1, keepdim=True))
