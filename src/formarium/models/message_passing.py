"""Message passing, what graph Transformers are held against: each node sums what its neighbours say, layer by layer.

Xu et al. 2019, GIN, arXiv 1810.00826; with features of edges Hu et al. 2020, arXiv 1905.12265. What it tells apart,
colour refinement (1-WL) tells apart. Shapes: B graphs, N nodes (of the largest), D width.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError
from formarium.models.graph_transformer import Head, columns, entries, listed, paired, reals
from formarium.models.model import Model, built
from formarium.parts.channel_mixers.activations import ReLU
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.batch_norm import BatchNorm
from formarium.parts.part import ChannelMixer, Norm


class MessagePassing(Model):
    """Graphs to an answer for each graph (B, outputs), node (B, N, outputs) or listed pair (L, outputs): GIN.

    A layer is x_i + f(norm((1 + eps) x_i + sum over neighbours j of ReLU(x_j + e_ij))) with eps trained and f the
    channel mixer; ``residual`` false leaves x_i out in front. The settings that it shares with ``GraphTransformer``
    mean what they mean there. Raises ConfigError for sizes below 1.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        node_types: tuple[int, ...] = ()
        node_features: int = 0
        edge_types: tuple[int, ...] = ()
        edge_features: int = 0
        outputs: int = 1
        level: Literal["graph", "node", "pair"] = "graph"
        pooling: Literal["sum", "mean"] = "sum"
        width: int = 64
        depth: int = 5
        channel_mixer: BaseConfig = FeedForward.Config(activation=ReLU.Config(), ratio=1.0, bias=True)
        norm: BaseConfig = BatchNorm.Config()
        residual: bool = True
        head_layers: int = 2
        output_norm: bool = False

    model_type: ClassVar[str] = "formarium-message-passing"

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config: MessagePassing.Config = config or self.Config()
        config = self.config
        if min(config.width, config.depth, config.outputs, config.head_layers) < 1:
            raise ConfigError("width, depth, outputs and head_layers of message passing are at least 1")
        if config.output_norm and config.level != "graph":
            raise ConfigError("output_norm is for answers about whole graphs")
        width = config.width
        self.node_tables = nn.ModuleList(nn.Embedding(count, width) for count in config.node_types)
        self.node_map = nn.Linear(config.node_features, width) if config.node_features else None
        self.start = None if config.node_types or config.node_features else nn.Parameter(torch.randn(width))
        self.edge_tables = nn.ModuleList(nn.Embedding(count, width) for count in config.edge_types)
        self.edge_map = nn.Linear(config.edge_features, width) if config.edge_features else None
        self.own = nn.Parameter(torch.zeros(config.depth))
        around = {"width": width, "depth": config.depth}
        self.norms = nn.ModuleList(built(config.norm, Norm, "norm", **around) for _ in range(config.depth))
        self.mixers = nn.ModuleList(
            built(config.channel_mixer, ChannelMixer, "channel_mixer", **around) for _ in range(config.depth)
        )
        self.head = Head(2 * width if config.level == "pair" else width, width, config.outputs, config.head_layers)
        self.output_norm = nn.BatchNorm1d(config.outputs) if config.output_norm else None

    def forward(
        self,
        adjacency: Tensor,
        mask: Tensor | None = None,
        nodes: Tensor | None = None,
        edges: Tensor | None = None,
        node_features: Tensor | None = None,
        edge_features: Tensor | None = None,
        links: Tensor | None = None,
        **walks: Tensor | None,
    ) -> Tensor:
        """The answer for each graph, node (0 where there is none) or pair.

        Arguments as of ``GraphTransformer.forward``. What is known of walks is not looked at.
        """
        config = self.config
        real = torch.ones_like(adjacency[..., 0], dtype=torch.bool) if mask is None else mask
        # All real nodes in one list, and edges between their places in it.
        place = real.flatten().cumsum(0).view_as(real) - 1
        graph, target, source = adjacency.bool().nonzero().unbind(1)
        x = self._contents(nodes, node_features, real)
        e = self._edges(edges, edge_features, (graph, target, source))
        to, of = place[graph, target], place[graph, source]
        for layer, (norm, mixer) in enumerate(zip(self.norms, self.mixers, strict=True)):
            said = x[of] if e is None else x[of] + e
            heard = torch.zeros_like(x).index_add_(0, to, F.relu(said).to(x.dtype))
            step = mixer(norm(((1 + self.own[layer]) * x + heard)[None]))[0]
            x = x + step if config.residual else step
        if config.level == "pair":
            owner, one, other = listed(links).unbind(1)
            a, b = x[place[owner, one]], x[place[owner, other]]
            return cast(Tensor, self.head(paired(a, b)))
        if config.level == "node":
            answers: Tensor = self.head(x)
            return answers.new_zeros(*real.shape, config.outputs).masked_scatter(real[..., None], answers)
        count = real.sum(1)
        owner = torch.repeat_interleave(torch.arange(len(real), device=x.device), count)
        pooled = x.new_zeros(len(real), config.width).index_add_(0, owner, x)
        out: Tensor = self.head(pooled / count[:, None] if config.pooling == "mean" else pooled)
        return out if self.output_norm is None else cast(Tensor, self.output_norm(out))

    def _contents(self, nodes: Tensor | None, features: Tensor | None, real: Tensor) -> Tensor:
        """What real nodes hold, in rows (nodes, D)."""
        config = self.config
        types, numbers = columns(nodes, config.node_types, "node", 3), reals(features, config.node_features, "node")
        rows = [] if types is None else self._entries(self.node_tables, types[real], "node")
        if self.node_map is not None and numbers is not None:
            rows.append(self.node_map(numbers[real].to(self.node_map.weight.dtype)))
        return torch.stack(rows).sum(0) if self.start is None else self.start.expand(int(real.sum()), -1)

    def _entries(self, tables: nn.ModuleList, types: Tensor, what: str) -> list[Tensor]:
        pairs = zip(tables, types.unbind(1), strict=True)
        return [entries(cast(nn.Embedding, table), column, what) for table, column in pairs]

    def _edges(self, edges: Tensor | None, features: Tensor | None, at: tuple[Tensor, ...]) -> Tensor | None:
        """What is known of the edges at these places, in rows; None where nothing is."""
        config = self.config
        types, numbers = columns(edges, config.edge_types, "edge", 4), reals(features, config.edge_features, "edge")
        rows = [] if types is None else self._entries(self.edge_tables, types[at], "edge")
        if self.edge_map is not None and numbers is not None:
            rows.append(self.edge_map(numbers[at].to(self.edge_map.weight.dtype)))
        return torch.stack(rows).sum(0) if rows else None
