"""PPGT written down plainly, as one would from the paper: the yardstick for the speed of ``GraphTransformer``.

Everything dense and padded to the batch's largest graph, eager operations only, one layer after another.
"""

import math

import torch
from torch import Tensor, nn


class AdaptiveNorm(nn.Module):
    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.alpha, self.beta, self.eps = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        size = torch.sqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        gain = torch.sqrt((self.alpha * x + self.beta).pow(2).mean(-1, keepdim=True) + self.eps)
        return x / size * gain


def mlp(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = AdaptiveNorm(width), AdaptiveNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.pair, self.out = nn.Linear(width, 2 * heads), nn.Linear(width, width)
        self.ffn = mlp(width, 2 * width)

    def forward(self, x: Tensor, e: Tensor, mask: Tensor) -> Tensor:
        batch, count, width = x.shape
        y = self.norm1(x)
        split = (batch, count, self.heads, width // self.heads)
        q = self.query(y).view(split).transpose(1, 2)
        k, v = (t.view(split).transpose(1, 2) for t in self.key_value(y).chunk(2, dim=-1))
        bias, gate = self.pair(e).permute(0, 3, 1, 2).chunk(2, dim=1)
        root = math.sqrt(q.shape[-1])
        scores = q @ k.transpose(-1, -2) / root - k.pow(2).sum(-1)[:, :, None, :] / (2 * root) + bias
        scores = scores.masked_fill(~mask[:, None, None, :], -1e16)
        weights = scores.softmax(dim=-1) * (1 + gate)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(batch, count, width))
        return x + self.ffn(self.norm2(x))


class PairBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.ffn = AdaptiveNorm(width), mlp(width, 2 * width)

    def forward(self, e: Tensor) -> Tensor:
        return e + self.ffn(self.norm(e))


class ReferencePPGT(nn.Module):
    """The configuration for ZINC: graphs with one category of nodes and of edges to one number each."""

    def __init__(
        self,
        node_types: int = 21,
        edge_types: int = 4,
        steps: int = 24,
        frequencies: int = 3,
        hidden: int = 128,
        width: int = 64,
        depth: int = 12,
        heads: int = 8,
        pair_blocks: int = 2,
    ) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.nodes, self.edges = nn.Embedding(node_types, width), nn.Embedding(edge_types, width)
        self.walk, self.degree, self.order = nn.Linear(steps + 1, width), nn.Linear(1, width), nn.Linear(1, width)
        raw = (steps + 4) * (2 * frequencies + 1)
        self.pair = nn.Sequential(nn.Linear(raw, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.pair_blocks = nn.Sequential(*(PairBlock(width) for _ in range(pair_blocks)), AdaptiveNorm(width))
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(depth))
        self.norm = AdaptiveNorm(width)
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(self, adjacency: Tensor, mask: Tensor, nodes: Tensor, edges: Tensor, walks: Tensor) -> Tensor:
        degree, order = adjacency.sum(-1), mask.sum(-1).to(walks.dtype)
        x = self.nodes(nodes) + self.walk(walks.diagonal(dim1=1, dim2=2).transpose(1, 2))
        x = x + self.degree(torch.log1p(degree)[..., None]) + self.order(torch.log1p(order)[:, None, None])
        inverse = torch.where(degree > 0, 1 / degree.clamp(min=1), torch.zeros_like(degree))
        shape = (*walks.shape[:-1], 1)
        ends = [(1 / order)[:, None, None, None], inverse[:, None, :, None], inverse[:, :, None, None]]
        raw = torch.cat([walks] + [end.expand(shape) for end in ends], dim=-1)
        angles = raw[..., None] * (math.pi * 2.0 ** torch.arange(self.frequencies, dtype=raw.dtype))
        waves = torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-3)
        e = self.pair(torch.cat((raw, waves), dim=-1)) + self.edges(edges) * adjacency[..., None]
        e = self.pair_blocks(e)
        for layer in self.layers:
            x = layer(x, e, mask)
        x = self.norm(x) * mask[..., None]
        return self.head(x.sum(dim=1))
