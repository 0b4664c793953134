"""Attention by closeness: the dot product less half the squared norm of the key.

The simplified L2 attention of Ma et al. 2025 (PPGT, arXiv 2504.12588). Behind the softmax, which does not see what all
keys of a query share, q.k - |k|^2 / 2 is -|q - k|^2 / 2.
"""

import torch
from torch import Tensor


def with_key_norms(queries: Tensor, keys: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Queries and keys whose dot products are q.k - factor |k|^2: (..., T, K) and (..., S, K), each a little wider.

    A query gets channels of ones, a key its norm. In half precision the norm takes two channels, the second for what
    the first rounds off.
    """
    exact = torch.promote_types(keys.dtype, torch.float32)
    norms = keys.to(exact).square().sum(-1, keepdim=True) * -factor
    if exact == keys.dtype:
        channels = norms
    else:
        rounded = norms.to(keys.dtype)
        channels = torch.cat((rounded, (norms - rounded.to(exact)).to(keys.dtype)), dim=-1)
    ones = queries.new_ones((1,)).expand(*queries.shape[:-1], channels.shape[-1])
    return torch.cat((queries, ones), dim=-1), torch.cat((keys, channels), dim=-1)
