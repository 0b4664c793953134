"""The plain graph Transformer: attention among all nodes of a graph, told of its edges by features of pairs alone.

Ma et al. 2025, PPGT, arXiv 2504.12588. The defaults are its configuration for ZINC.
Shapes: B graphs, N nodes (of the largest), D width of nodes, E width of pairs, K steps of a walk.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Literal, cast

import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from formarium.block import Block
from formarium.config import BaseConfig, ConfigError
from formarium.context import Context, PairRows
from formarium.errors import DataError
from formarium.models.model import Model, built, start_spread
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.adaptive_rms_norm import AdaRMSNorm
from formarium.parts.part import ChannelMixer, Norm, Position, TokenMixer
from formarium.parts.positions.pair_bias import PairBias, prepare_together
from formarium.parts.residual import LayerScale
from formarium.parts.stems.random_walk import RandomWalkStem, random_walks
from formarium.parts.token_mixers.attention import Attention

_LARGE = 512  # nodes of a graph from which it is asked whether the features of all its pairs fit the memory
_AT_A_TIME = 1 << 28  # bytes for the features of some queries' pairs


class GraphTransformer(Model):
    """Graphs to an answer for each graph (B, outputs), each node (B, N, outputs) or each listed pair (L, outputs).

    node_types: how many values each categorical feature of nodes takes; node_features: how many real ones there are;
    edge_types, edge_features: likewise of edges. token: one more token, with learned features of its pairs with nodes,
    joined to no node (``cls``) or to all of them, so that walks go through it (``virtual``). pooling: ``sum`` or
    ``mean`` over nodes, or what the token holds in the end. head_layers: linear maps of the head, GELU between them, as
    wide inside as the larger of width and outputs; output_norm: batch normalisation of the answer. drop_path: share of
    graphs for which a branch is left out while training. init_std: of linear maps, 0.02 as published; None is SmallInit
    (see ``initialise``), with which narrow models learn faster.
    Raises ConfigError when the parts do not fit together.
    """

    @dataclass(frozen=True)
    class Config(BaseConfig):
        node_types: tuple[int, ...] = ()
        node_features: int = 0
        edge_types: tuple[int, ...] = ()
        edge_features: int = 0
        outputs: int = 1
        level: Literal["graph", "node", "pair"] = "graph"
        pooling: Literal["sum", "mean", "token"] = "sum"
        token: Literal["cls", "virtual"] | None = None
        width: int = 64
        depth: int = 12
        heads: int = 8
        pair_width: int | None = None
        stem: RandomWalkStem.Config = RandomWalkStem.Config()
        token_mixer: BaseConfig = Attention.Config(similarity="distance", bias=True)
        position: BaseConfig = PairBias.Config()
        channel_mixer: BaseConfig = FeedForward.Config(ratio=2.0, bias=True)
        norm: BaseConfig = AdaRMSNorm.Config()
        layer_scale: float | None = None
        drop_path: float = 0.0
        head_layers: int = 3
        output_norm: bool = False
        init_std: float | None = 0.02

    model_type: ClassVar[str] = "formarium-graph-transformer"
    pair_memory: int | None = None  # bytes that features of pairs may take; half of what is free where None

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config: GraphTransformer.Config = config or self.Config()
        config = self.config
        if min(config.width, config.depth, config.heads, config.outputs, config.head_layers) < 1:
            raise ConfigError("width, depth, heads, outputs and head_layers of a graph Transformer are at least 1")
        if config.width % config.heads:
            raise ConfigError(f"a width of {config.width} cannot be split among {config.heads} heads")
        if config.pooling == "token" and config.token is None:
            raise ConfigError("pooling 'token' reads a token that is not there; set token to 'cls' or 'virtual'")
        if config.output_norm and config.level != "graph":
            raise ConfigError("output_norm is for answers about whole graphs")
        pair_width = config.pair_width or config.width
        around = {
            "width": config.width,
            "depth": config.depth,
            "heads": config.heads,
            "kv_heads": config.heads,
            "head_width": config.width // config.heads,
            "pair_width": pair_width,
            "causal": False,
        }
        self.node_tables = nn.ModuleList(nn.Embedding(count, config.width) for count in config.node_types)
        self.node_map = nn.Linear(config.node_features, config.width) if config.node_features else None
        self.edge_tables = nn.ModuleList(nn.Embedding(count, pair_width) for count in config.edge_types)
        self.edge_map = nn.Linear(config.edge_features, pair_width) if config.edge_features else None
        self.stem = cast(RandomWalkStem, config.stem.build(**around))
        if config.token is not None:
            self.token = nn.Parameter(torch.randn(config.width))
            self.token_pairs = nn.Parameter(torch.randn(3, pair_width))  # of the token as query, as key, as both
        position = built(config.position, Position, "position", **around)
        self.position = position if position.shared else None
        blocks = []
        for layer in range(config.depth):
            hands_on = layer + 1 < config.depth or config.level == "pair"
            here = {**around, "layer": layer, "hands_on": hands_on}
            if layer and not position.shared:
                position = built(config.position, Position, "position", **here)
            scale = None if config.layer_scale is None else LayerScale.Config(config.layer_scale)
            blocks.append(
                Block(
                    built(config.token_mixer, TokenMixer, "token_mixer", position=position, **here),
                    built(config.channel_mixer, ChannelMixer, "channel_mixer", **here),
                    (built(config.norm, Norm, "norm", **here), built(config.norm, Norm, "norm", **here)),
                    drop_path=config.drop_path,
                    scales=None if scale is None else (scale.build(**around), scale.build(**around)),
                )
            )
        self.blocks = nn.ModuleList(blocks)
        self._together = all(isinstance(getattr(b.token_mixer, "position", None), PairBias) for b in blocks)
        self.norm = built(config.norm, Norm, "norm", **around)
        read = 2 * config.width + pair_width if config.level == "pair" else config.width
        self.head = Head(read, max(config.width, config.outputs), config.outputs, config.head_layers)
        self.output_norm = nn.BatchNorm1d(config.outputs) if config.output_norm else None
        std = start_spread(config.init_std, config.width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=std, a=-3 * std, b=3 * std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.stem.initialise()

    def forward(
        self,
        adjacency: Tensor,
        mask: Tensor | None = None,
        nodes: Tensor | None = None,
        edges: Tensor | None = None,
        node_features: Tensor | None = None,
        edge_features: Tensor | None = None,
        walks: Tensor | None = None,
        kinds: Tensor | None = None,
        samples: Tensor | None = None,
        links: Tensor | None = None,
    ) -> Tensor:
        """The answer for each graph, node (0 where there is none) or pair, by the configured level.

        adjacency: (B, N, N), symmetric, 0 or 1. mask: (B, N), true for nodes, at least one a graph; all where None.
        nodes: (B, N, C) or (B, N) categories of nodes. edges: (B, N, N, C) or (B, N, N) categories of edges, read
        where there is one. node_features, edge_features: (B, N, F), (B, N, N, F). walks: (B, N, N, K + 1) as
        ``random_walks`` makes them; made here where None. links: (L, 3) graph and two nodes of each pair asked about,
        in either order.
        kinds: (B, N, N) numbers from 0, the same for pairs of one graph of which the stem reads the same; with samples,
        (S,) a place in B * N * N for each kind, and walks (S, K + 1) of each kind. Features are then made once a kind.
        """
        x, context = self.stems(adjacency, mask, nodes, edges, node_features, edge_features, walks, kinds, samples)
        return self.answer(self.encode(x, context), context, links)

    def stems(
        self,
        adjacency: Tensor,
        mask: Tensor | None = None,
        nodes: Tensor | None = None,
        edges: Tensor | None = None,
        node_features: Tensor | None = None,
        edge_features: Tensor | None = None,
        walks: Tensor | None = None,
        kinds: Tensor | None = None,
        samples: Tensor | None = None,
    ) -> tuple[Tensor, Context]:
        """Tokens (B, T, D) as they enter the blocks, and their context; a token of the model's own stands first."""
        config, weight = self.config, self.stem.node_walks.weight
        pairs = _Pairs(
            adjacency,
            mask,
            adjacency,
            columns(edges, config.edge_types, "edge", 4),
            reals(edge_features, config.edge_features, "edge"),
            walks,
            kinds,
            samples,
        )
        x = self._contents(nodes, node_features, weight.new_zeros(*adjacency.shape[:2], config.width))
        if config.token is not None:
            pairs = pairs.with_token(joined=config.token == "virtual")
            x = torch.cat((self.token.expand(len(x), 1, -1), x), dim=1)
        batch, length, _ = pairs.adjacency.shape
        degree = pairs.adjacency.sum(-1, dtype=weight.dtype)
        order = degree.new_full((batch,), length) if pairs.mask is None else pairs.mask.sum(-1, dtype=weight.dtype)
        if config.token == "cls":
            order = order - 1
        context = Context(positions=torch.arange(length, device=x.device)[None], mask=pairs.mask, degrees=degree)
        every = batch * length * length
        size = self._bytes_a_pair()
        fits = length < _LARGE or self._fits(every * size, x.device)
        step = max(1, _AT_A_TIME // max(1, batch * length * size))
        if pairs.kinds is not None and pairs.samples is not None:
            kinds, places = pairs.kinds.long(), pairs.samples  # of 32 bits, the gradient is many times slower
            walks = self._walks(pairs, None)
            stays = F.embedding(kinds.diagonal(0, 1, 2), walks)
            e = self._pair_features(walks, pairs, degree, order, lambda grid: grid.flatten(0, 2)[places])
            if fits:
                context.pairs = e.index_select(0, kinds.flatten()).view(*kinds.shape, -1)
                context.pair_kinds = kinds, e
            else:
                context.pair_rows = PairRows(lambda first, last: F.embedding(kinds[:, first:last], e), step)
        elif fits:
            walks = self._walks(pairs, None)
            stays = walks.diagonal(0, 1, 2).transpose(1, 2)
            context.pairs = self._pair_features(walks, pairs, degree, order, lambda grid: grid)
        else:
            some = [self._walks(pairs, rows).diagonal(rows[0], 1, 2) for rows in _spans(length, step)]
            stays = torch.cat(some, dim=-1).transpose(1, 2)

            def make(first: int, last: int) -> Tensor:
                walks = self._walks(pairs, (first, last))
                return self._pair_features(walks, pairs, degree, order, lambda grid: grid[:, first:last])

            context.pair_rows = PairRows(make, step)
            kept = every * self.stem.pair_down.weight[:, 0].nbytes * (2 if torch.is_grad_enabled() else 1)
            if self._fits(kept, x.device):
                # Not made anew for every layer; what making them took is, for the gradient, once.
                rows = {span[0]: checkpoint(make, *span, use_reentrant=False) for span in _spans(length, step)}
                context.pair_rows = PairRows(lambda first, last: rows[first], step)
        x = x + self.stem.nodes(stays, degree, order)
        context = context.with_embeddings(x)
        if self.position is not None:
            context.shared = self.position.prepare(context)
        return x, context

    def regions(self) -> list[nn.Module]:
        return [self.stem, *self.blocks]

    def encode(self, x: Tensor, context: Context) -> Tensor:
        """What the head reads of each token: (B, T, D) as ``stems`` left it to (B, T, D)."""
        contexts = [context] * len(self.blocks)
        if context.pairs is not None and self._together:
            layers = [cast(PairBias, cast(Block, block).token_mixer.position) for block in self.blocks]
            contexts = [replace(context, shared=prepared) for prepared in prepare_together(layers, context)]
        for block, own in zip(self.blocks, contexts, strict=True):
            x = block(x, own)
        return cast(Tensor, self.norm(x))

    def answer(self, x: Tensor, context: Context, links: Tensor | None = None) -> Tensor:
        """What the head makes of tokens (B, T, D): see ``forward``."""
        config, mask = self.config, context.mask
        extra = 0 if config.token is None else 1
        if config.level == "pair":
            return cast(Tensor, self.head(self._linked(x, context, links, extra)))
        if config.level == "node":
            out: Tensor = self.head(x[:, extra:])
            return out if mask is None else out.masked_fill(~mask[:, extra:, None], 0)
        if config.pooling == "token":
            pooled = x[:, 0]
        else:
            kept = x if mask is None else x.masked_fill(~mask[..., None], 0)
            pooled = kept[:, extra:].sum(1)
            if config.pooling == "mean":
                count = x.shape[1] - extra if mask is None else mask[:, extra:].sum(1)[:, None]
                pooled = pooled / count
        out = self.head(pooled)
        return out if self.output_norm is None else cast(Tensor, self.output_norm(out))

    def _contents(self, nodes: Tensor | None, features: Tensor | None, x: Tensor) -> Tensor:
        """What nodes hold besides their places, added to x (B, N, D)."""
        types = columns(nodes, self.config.node_types, "node", 3)
        for column, table in enumerate(self.node_tables):
            x = x + entries(cast(nn.Embedding, table), cast(Tensor, types)[..., column], "node")
        features = reals(features, self.config.node_features, "node")
        return x if self.node_map is None else x + self.node_map(cast(Tensor, features).to(x.dtype))

    def _walks(self, pairs: "_Pairs", rows: tuple[int, int] | None) -> Tensor:
        """Walks (B, R, N, K + 1) from some nodes, or from all, in the precision of the model."""
        config, dtype = self.stem.config, self.stem.node_walks.weight.dtype
        if pairs.walks is not None:
            if pairs.walks.shape[-1] != config.steps + 1:
                raise DataError(f"walks of {pairs.walks.shape[-1] - 1} steps, where the model takes {config.steps}")
            walks = pairs.walks if rows is None else pairs.walks[:, slice(*rows)]
            return walks.to(dtype)
        adjacency = pairs.adjacency.to(dtype)
        with torch.autocast(adjacency.device.type, enabled=False):  # in bf16 powers would lose most of their digits
            if rows is None:
                return random_walks(adjacency, config.steps, config.symmetric)
            return torch.stack([random_walks(graph, config.steps, config.symmetric, rows) for graph in adjacency])

    def _pair_features(
        self, walks: Tensor, pairs: "_Pairs", degree: Tensor, order: Tensor, pick: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Features (..., E) of the pairs that ``pick`` takes out of grids (B, N, N, ...), given their walks."""
        shape, dtype = pairs.adjacency.shape, walks.dtype
        added: Tensor | None = None
        bonds = pick(pairs.bonds) != 0
        for column, table in enumerate(self.edge_tables):
            # Row 0, of zeros, is for pairs without an edge.
            row = torch.where(bonds, pick(cast(Tensor, pairs.edges)[..., column]) + 1, 0)
            found = entries(cast(nn.Embedding, table), row, "edge", above=1)
            added = found if added is None else added + found
        if self.edge_map is not None:
            found = self.edge_map(pick(cast(Tensor, pairs.edge_features)).to(dtype)) * bonds[..., None]
            added = found if added is None else added + found
        if self.config.token is not None:
            marks = torch.zeros(shape[1:], dtype=torch.long, device=walks.device)
            marks[0, :], marks[:, 0], marks[0, 0] = 1, 2, 3
            found = F.embedding(pick(marks.expand(shape)), F.pad(self.token_pairs, (0, 0, 1, 0)))
            added = found if added is None else added + found
        keys, queries = pick(degree[:, None, :].expand(shape)), pick(degree[:, :, None].expand(shape))
        features: Tensor = self.stem(walks, keys, queries, pick(order[:, None, None].expand(shape)), added)
        return features

    def _linked(self, x: Tensor, context: Context, links: Tensor | None, extra: int) -> Tensor:
        """What the head reads of the pairs ``links`` (L, 3), the same in both orders: (L, 2 D + E)."""
        graph, one, other = listed(links).unbind(1)
        one, other = one + extra, other + extra
        if context.pairs is not None:
            both = context.pairs[graph, one, other] + context.pairs[graph, other, one]
        else:
            rows = cast(PairRows, context.pair_rows)
            both = x.new_zeros(len(graph), self.head.read - 2 * x.shape[-1])
            for first, last in _spans(x.shape[1], rows.step):
                features = rows.make(first, last)
                for a, b in ((one, other), (other, one)):
                    here = ((a >= first) & (a < last)).nonzero()[:, 0]
                    both = both.index_add(0, here, features[graph[here], a[here] - first, b[here]])
        a, b = x[graph, one], x[graph, other]
        return paired(a, b, both)

    def _fits(self, size: int, device: torch.device) -> bool:
        """Whether so many bytes of pair features fit the memory."""
        free = self.pair_memory
        if free is None:
            whole = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
            free = whole // 2
        return size <= free

    def _bytes_a_pair(self) -> int:
        """What making the features of one pair takes, with all that their gradient needs."""
        stem, config = self.stem.config, self.config
        width = config.pair_width or config.width
        inside = self.stem.pair_up.in_features + 2 * stem.hidden + 3 * width
        blocks = stem.blocks * (3 + 2 * stem.ratio) * width
        mixers = [cast(Block, block).token_mixer for block in self.blocks]
        mixing = sum(4 * config.heads + mixer.kept_a_pair for mixer in mixers)
        return round((inside + blocks + mixing) * self.stem.pair_up.weight.element_size())


class Head(nn.Module):
    """Linear maps of one width with GELU between them, the last to the answer: (..., R) to (..., outputs)."""

    def __init__(self, read: int, width: int, outputs: int, layers: int) -> None:
        super().__init__()
        self.read = read
        widths = [read, *[width] * (layers - 1), outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = layer(F.gelu(x) if index else x)
        return x


@dataclass(frozen=True)
class _Pairs:
    """What is known of the N x N pairs of B graphs; bonds are the edges that are not of a token of the model's own."""

    adjacency: Tensor
    mask: Tensor | None
    bonds: Tensor
    edges: Tensor | None
    edge_features: Tensor | None
    walks: Tensor | None
    kinds: Tensor | None
    samples: Tensor | None

    def with_token(self, joined: bool) -> "_Pairs":
        """The graphs with one node before all others, joined to each of them or to none."""
        wider = (0, 0, 1, 0, 1, 0)
        mask = None if self.mask is None else F.pad(self.mask, (1, 0), value=True)
        adjacency = bonds = F.pad(self.bonds, (1, 0, 1, 0))
        if joined:
            others = torch.ones_like(bonds[:, 0]) if mask is None else mask.to(bonds.dtype, copy=True)
            others[:, 0] = 0
            adjacency = bonds.clone()
            adjacency[:, 0], adjacency[:, :, 0] = others, others
        edges = None if self.edges is None else F.pad(self.edges, wider)
        features = None if self.edge_features is None else F.pad(self.edge_features, wider)
        return _Pairs(adjacency, mask, bonds, edges, features, None, None, None)


def paired(a: Tensor, b: Tensor, *more: Tensor) -> Tensor:
    """What is read of two nodes (L, D) and of their pair (L, E), the same in both orders: (L, 2 D + E)."""
    return torch.cat((a + b, a * b, *more), dim=-1)


def listed(links: Tensor | None) -> Tensor:
    """The pairs that a model of pairs is asked about; DataError where none are listed."""
    if links is None:
        raise DataError("a model of pairs is asked about listed ones: give links, rows of graph and two nodes")
    return links


_GIVEN = "its configuration says what is read (``widths`` of the graphs tells), or leave them out"


def columns(types: Tensor | None, counts: tuple[int, ...], what: str, dims: int) -> Tensor | None:
    """Categories with a column for each table (..., C); DataError where they are not what the model has tables for."""
    if not counts:
        if types is not None:
            raise DataError(f"the graphs have categories of each {what}, of which the model reads none: {_GIVEN}")
        return None
    if types is None:
        raise DataError(f"the model reads {len(counts)} categories of each {what}, and the graphs have none")
    types = types[..., None] if types.dim() == dims - 1 else types
    if types.dim() != dims or types.shape[-1] != len(counts):
        raise DataError(f"the model reads {len(counts)} categories of each {what}; the graphs have {types.shape[-1]}")
    return types


def entries(table: nn.Embedding, rows: Tensor, what: str, above: int = 0) -> Tensor:
    """What a table holds of categories, behind ``above`` rows of zeros; DataError beyond it, which a GPU cannot say."""
    try:
        return F.embedding(rows, F.pad(table.weight, (0, 0, above, 0)) if above else table.weight)
    except IndexError:
        known = table.num_embeddings - 1
        raise DataError(f"a category of the {what}s is not among those that the model knows, 0 to {known}") from None


def reals(features: Tensor | None, count: int, what: str) -> Tensor | None:
    """Real features (..., F); DataError where the graphs have not as many as the model reads."""
    if not count:
        if features is not None:
            raise DataError(f"the graphs have real features of each {what}, of which the model reads none: {_GIVEN}")
        return None
    if features is None or features.shape[-1] != count:
        have = 0 if features is None else features.shape[-1]
        raise DataError(f"the model reads {count} real features of each {what}; the graphs have {have}")
    return features


def _spans(length: int, step: int) -> list[tuple[int, int]]:
    return [(first, min(first + step, length)) for first in range(0, length, step)]
