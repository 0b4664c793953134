"""Numbers beside their sines and cosines at doubling frequencies, so that small differences become visible.

Mildenhall et al. 2020 (NeRF, arXiv 2003.08934); for random-walk probabilities in Ma et al. 2025 (arXiv 2504.12588).
"""

import math

import torch
from torch import Tensor


def sinusoids(x: Tensor, count: int) -> Tensor:
    """[x, sin(2^l pi x), cos(2^l pi x)] for l = 0..count-1: (..., m) to (..., m (2 count + 1)).

    Sines stand before cosines, each with the frequencies of a channel side by side. Angles are brought within one turn
    before they meet pi, which keeps high frequencies exact to the rounding of x.
    """
    if not count:
        return x
    halves = torch.tensor([2.0 ** (level - 1) for level in range(count)], dtype=x.dtype, device=x.device)
    angles = (x[..., None] * halves).frac().flatten(-2) * (2 * math.pi)
    return torch.cat((x, angles.sin(), angles.cos()), dim=-1)
