"""The product behind causal linear attention: queries times the running sum of key-value outer products."""

import torch
import torch.nn.functional as F
from torch import Tensor


def running_product(
    queries: Tensor, keys: Tensor, values: Tensor, before: Tensor | None = None, chunk: int = 64
) -> tuple[Tensor, Tensor]:
    """sum_{s <= t} (q_t . k_s) v_s for every t, and the sum of all k_s v_s^T to carry on from.

    queries, keys: (B, H, T, K). values: (B, H, T, E). before: (B, H, K, E), the sum over earlier tokens. Costs
    O(T (chunk + K) E): within chunks of tokens by a triangle of scores, between chunks by running sums.
    """
    length = queries.shape[2]
    chunk = min(chunk, length)
    padding = -length % chunk
    if padding:
        queries, keys, values = (F.pad(x, (0, 0, 0, padding)) for x in (queries, keys, values))
    q, k, v = (x.unflatten(2, (-1, chunk)) for x in (queries, keys, values))
    within = (q @ k.transpose(-1, -2)).tril() @ v
    sums = (k.transpose(-1, -2) @ v).cumsum(dim=2)  # (B, H, chunks, K, E)
    if before is not None:
        sums = sums + before[:, :, None]
    first = torch.zeros_like(sums[:, :, :1]) if before is None else before[:, :, None]
    earlier = torch.cat((first, sums[:, :, :-1]), dim=2)
    mixed = (within + q @ earlier).flatten(2, 3)
    return mixed[:, :, :length], sums[:, :, -1]
