"""The stem of graphs: where a random walk from node i is after 0..K steps, for nodes and for all pairs of nodes.

Relative random-walk probabilities: Ma et al. 2023 (GRIT, arXiv 2305.17589). The stem over them, with sinusoids and
residual blocks on all pairs: Ma et al. 2025 (PPGT, arXiv 2504.12588).
Shapes: B graphs, N nodes (of the largest), K steps, D width of nodes, E width of pairs.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.linear import Linear
from formarium.parts.norms.adaptive_rms_norm import AdaRMSNorm
from formarium.parts.part import Norm, Part
from formarium.parts.stems.sinusoids import sinusoids

_SPARSE_FROM = 1024  # nodes from which powers of a sparse adjacency are taken sparsely


def random_walks(adjacency: Tensor, steps: int, symmetric: bool = False, rows: tuple[int, int] | None = None) -> Tensor:
    """[I, M, ..., M^K] of M = D^-1 A, or D^-1/2 A D^-1/2 where symmetric: (..., N, N) to (..., N, N, K + 1).

    Entry (i, j, k) is the probability that a walk from i is at j after k steps. Nodes without neighbours have a row of
    zeros in M. ``rows``: only for the nodes i from first to last, last excluded. In float64 for integer and boolean
    input, else in the precision of the adjacency.
    """
    if not adjacency.is_floating_point():
        adjacency = adjacency.double()
    first, last = rows or (0, adjacency.shape[-1])
    degree = adjacency.sum(-1)
    inverse = _inverse(degree)
    if symmetric:
        root = inverse.sqrt()
        step = root[..., :, None] * adjacency * root[..., None, :]
    else:
        step = inverse[..., :, None] * adjacency
    identity = torch.eye(adjacency.shape[-1], dtype=adjacency.dtype, device=adjacency.device)[first:last]
    now = identity.expand(*adjacency.shape[:-2], *identity.shape)
    found = [now]
    if adjacency.dim() == 2 and len(adjacency) >= _SPARSE_FROM and adjacency.count_nonzero() * 16 < adjacency.numel():
        back = step.t().to_sparse()
        for _ in range(steps):
            found.append((back @ found[-1].t()).t())
    else:
        for _ in range(steps):
            found.append(found[-1] @ step)
    return torch.stack(found, dim=-1)


def _inverse(degree: Tensor) -> Tensor:
    """1 / degree, and 0 for nodes without neighbours."""
    none = degree == 0
    return degree.masked_fill(none, 1).reciprocal().masked_fill(none, 0)


class PairBlock(nn.Module):
    """e + FeedForward(norm e) on features of pairs: (..., E) to (..., E)."""

    def __init__(self, width: int, ratio: float, norm: BaseConfig) -> None:
        super().__init__()
        self.norm = cast(Norm, norm.build(width=width))
        self.channel_mixer = FeedForward(width, FeedForward.Config(ratio=ratio, bias=True))

    def forward(self, e: Tensor) -> Tensor:
        return e + cast(Tensor, self.channel_mixer(self.norm(e)))


class RandomWalkStem(Part):
    """Random-walk probabilities to features of nodes (B, N, D) and of ordered pairs (query, key) (..., E).

    steps: K. symmetric: walks by D^-1/2 A D^-1/2. frequencies: how many sinusoids each raw pair feature gets. hidden:
    inner width of the pair MLP; blocks, ratio: the residual blocks behind it; pre_norm: a norm before them.
    node_degree, node_order: whether nodes get maps of log(1 + degree) and log(1 + N). pair_degree, pair_order: whether
    pairs get 1 / degree of key and query (0 for none) and 1 / N.
    Raises ConfigError for less than one step.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        steps: int = 24
        symmetric: bool = False
        frequencies: int = 3
        hidden: int = 128
        blocks: int = 2
        ratio: float = 2.0
        pre_norm: bool = False
        norm: BaseConfig = AdaRMSNorm.Config()
        node_degree: bool = True
        node_order: bool = True
        pair_degree: bool = True
        pair_order: bool = True

    def __init__(self, width: int, pair_width: int, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or self.Config()
        if config.steps < 1 or config.frequencies < 0 or config.hidden < 1 or config.blocks < 0:
            raise ConfigError("a random-walk stem takes at least one step, no fewer than 0 frequencies and blocks")
        self.node_walks = nn.Linear(config.steps + 1, width)
        self.node_degree = nn.Linear(1, width) if config.node_degree else None
        self.node_order = nn.Linear(1, width) if config.node_order else None
        raw = config.steps + 1 + 2 * config.pair_degree + config.pair_order
        self.pair_up = Linear(raw * (2 * config.frequencies + 1), config.hidden)
        self.pair_down = Linear(config.hidden, pair_width)
        self.pre_norm = cast(Norm, config.norm.build(width=pair_width)) if config.pre_norm else None
        self.blocks = nn.Sequential(*(PairBlock(pair_width, config.ratio, config.norm) for _ in range(config.blocks)))
        self.norm = cast(Norm, config.norm.build(width=pair_width))
        self.initialise()

    def initialise(self) -> None:
        """Kaiming-uniform maps of the walks, with the gain of ReLU in front of the nonlinearity; offsets of zero."""
        nn.init.kaiming_uniform_(self.pair_up.weight, a=0.0)
        for linear in (self.pair_down, self.node_walks, self.node_degree, self.node_order):
            if linear is not None:
                nn.init.kaiming_uniform_(linear.weight, a=1.0)
                nn.init.zeros_(linear.bias)
        nn.init.zeros_(self.pair_up.bias)

    def forward(
        self, walks: Tensor, key_degree: Tensor, query_degree: Tensor, order: Tensor, added: Tensor | None = None
    ) -> Tensor:
        """Features of pairs (..., E) from their walks (..., K + 1).

        key_degree, query_degree, order: of the pair's two nodes and its graph, broadcastable to (...). added: (..., E),
        joins behind the MLP, before the residual blocks.
        """
        raw = [walks]
        if self.config.pair_order:
            raw.append((1 / order).expand(walks.shape[:-1])[..., None])
        if self.config.pair_degree:
            for degree in (key_degree, query_degree):
                raw.append(_inverse(degree).expand(walks.shape[:-1])[..., None])
        e = self.pair_down(F.gelu(self.pair_up(sinusoids(torch.cat(raw, dim=-1), self.config.frequencies))))
        if added is not None:
            e = e + added
        if self.pre_norm is not None:
            e = self.pre_norm(e)
        return cast(Tensor, self.norm(self.blocks(e)))

    def nodes(self, stays: Tensor, degree: Tensor, order: Tensor) -> Tensor:
        """Features of nodes (B, N, D): stays (B, N, K + 1) probabilities of being back, degree (B, N), order (B,)."""
        x: Tensor = self.node_walks(stays)
        if self.node_degree is not None:
            x = x + self.node_degree(degree.log1p()[..., None])
        if self.node_order is not None:
            x = x + self.node_order(order.log1p()[:, None, None])
        return x
