"""Scaled dot-product attention with whatever acts on its scores or weights, through the fastest kernel that can.

Shapes: queries (B, H, T, K), keys (B, G, S, K) and values (B, G, S, V) with H a multiple of G; result (B, H, T, V).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.parts.dropout import dropout as drop
from formarium.parts.token_mixers import causal_chunks


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    *,
    causal: bool = False,
    visible: Tensor | None = None,
    bias: Tensor | None = None,
    factor: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """softmax(scale q k^T + bias) * factor, times v.

    causal: the plain triangle over T = S tokens, known to the fused kernel; any other mask comes as ``visible``,
    boolean, true where a query may see a key. bias, factor, visible: broadcastable to (B, H, T, S). scale: 1/sqrt(K)
    where None. softcap: scores become c tanh(score / c) before the bias (Gemma 2, arXiv 2408.00118). factor multiplies
    the weights behind the softmax and is not renormalised.
    """
    slow = dropout > 0 and queries.device.type == "cpu"  # the fused kernel of a CPU knows no dropout
    if factor is None and softcap is None and not slow:
        if causal and visible is None and bias is None and causal_chunks.suits(queries, keys, values):
            return causal_chunks.attend_in_chunks(queries, keys, values, scale)
        mask = _additive(visible, bias, causal, queries, keys)
        width, spare = values.shape[-1], queries.shape[-1] - values.shape[-1]
        mixed = F.scaled_dot_product_attention(
            queries,
            keys,
            F.pad(values, (0, spare)) if spare > 0 else values,  # the fused kernels want one width
            attn_mask=mask,
            is_causal=causal and mask is None,
            dropout_p=dropout,
            scale=scale,
            enable_gqa=queries.shape[1] != keys.shape[1],
        )
        return mixed[..., :width] if spare > 0 else mixed
    weights = attention_weights(queries, keys, causal=causal, visible=visible, bias=bias, scale=scale, softcap=softcap)
    if factor is not None:
        weights = weights * factor.to(weights.dtype)
    weights = drop(weights, dropout)
    batch, heads, length, total = weights.shape
    groups = values.shape[1]
    mixed = weights.reshape(batch, groups, heads // groups, length, total) @ values[:, :, None]
    return mixed.reshape(batch, heads, length, values.shape[-1])


def attention_weights(
    queries: Tensor,
    keys: Tensor,
    *,
    causal: bool = False,
    visible: Tensor | None = None,
    bias: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> Tensor:
    """The weights behind the softmax, (B, H, T, S), computed one by one; arguments as those of ``attend``."""
    scale = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale
    batch, heads, length, channels = queries.shape
    groups = keys.shape[1]
    grouped = (queries * scale).reshape(batch, groups, heads // groups, length, channels)
    scores = (grouped @ keys[:, :, None].transpose(-1, -2)).reshape(batch, heads, length, keys.shape[2])
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores.add_(bias.to(scores.dtype))
    if causal:
        visible = _with_triangle(visible, queries, keys)
    return shares(scores, visible).to(queries.dtype)


def shares(scores: Tensor, visible: Tensor | None) -> Tensor:
    """The softmax of scores (B, H, T, S) over the visible keys, in float32 at least; writes into the scores."""
    if visible is not None:
        scores = scores.add_(hiding(visible, scores.dtype))
    return torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32))


def hiding(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """What, added to scores, hides the keys that are not visible; of the shape of ``visible``.

    Finite, unlike -inf: a query that sees no key, as padding on the left, then has weights that are numbers.
    """
    zeros = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return zeros.masked_fill_(~visible, torch.finfo(dtype).min / 2)


def _additive(
    visible: Tensor | None, bias: Tensor | None, causal: bool, queries: Tensor, keys: Tensor
) -> Tensor | None:
    """One mask for the kernel: boolean without a bias, else the bias with -inf where a key must not be seen."""
    if causal and bias is not None:
        visible = _with_triangle(visible, queries, keys)
    if bias is None:
        return visible
    bias = bias.to(queries.dtype)
    return bias if visible is None else bias.masked_fill(~visible, -math.inf)


def _with_triangle(visible: Tensor | None, queries: Tensor, keys: Tensor) -> Tensor:
    length, total = queries.shape[2], keys.shape[2]
    triangle = torch.ones(length, total, dtype=torch.bool, device=queries.device).tril(total - length)
    return triangle if visible is None else visible & triangle
