"""The plain graph Transformer against a plain dense PyTorch version of it and GPSConv of torch_geometric.

Molecules of about the size of ZINC's: those of 10 to 30 heavy atoms that come with RDKit. Training steps of 32 graphs,
forward and backward, in batches drawn by chance and of like size, as ``formarium.tasks.Graphs`` makes them.

python benchmarks/graphs.py --write docs/benchmarks/graphs.md
"""

import argparse
import copy
import statistics
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from reference_ppgt import ReferencePPGT
from report import Table, ratio, write
from torch import Tensor, nn

from formarium.lab.timing import interleaved
from formarium.models import GraphTransformer
from formarium.models.compiling import compiled as compile_model
from formarium.parts.stems.random_walk import random_walks
from formarium.tasks import Graphs
from formarium.tasks.graphs.batch import GraphBatch

WIDTH, DEPTH, HEADS, STEPS, BATCH, BATCHES = 64, 12, 8, 24, 32, 4


class GPS(nn.Module):
    """GPSConv with GINE and multi-head attention at the same width and depth; walks back to a node as its place."""

    def __init__(self) -> None:
        from torch_geometric.nn import GINEConv, GPSConv

        super().__init__()

        def layer() -> nn.Module:
            inner = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
            return GPSConv(WIDTH, GINEConv(inner), heads=HEADS, attn_type="multihead")

        self.nodes, self.edges, self.walks = (
            nn.Embedding(21, WIDTH),
            nn.Embedding(4, WIDTH),
            nn.Linear(STEPS + 1, WIDTH),
        )
        self.layers = nn.ModuleList(layer() for _ in range(DEPTH))
        self.head = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 1))

    def forward(self, data: Any) -> Tensor:
        from torch_geometric.nn import global_add_pool

        x, e = self.nodes(data.x) + self.walks(data.stays), self.edges(data.edge_attr)
        for layer in self.layers:
            x = layer(x, data.edge_index, data.batch, edge_attr=e)
        return self.head(global_add_pool(x, data.batch))


def of_torch_geometric(batch: GraphBatch, stays: Tensor) -> Any:
    """The same batch as torch_geometric keeps it."""
    from torch_geometric.data import Batch, Data

    graphs = []
    real = torch.ones(stays.shape[:2], dtype=torch.bool) if batch.mask is None else batch.mask
    assert batch.nodes is not None
    assert batch.edges is not None
    for index in range(len(batch)):
        ends = batch.adjacency[index].nonzero().t()
        graphs.append(
            Data(
                x=batch.nodes[index, real[index], 0],
                edge_index=ends,
                edge_attr=batch.edges[index, ends[0], ends[1], 0],
                stays=stays[index, real[index]],
            )
        )
    return Batch.from_data_list(graphs)


def training(repeats: int, compiled: bool) -> Table:
    ours = GraphTransformer(GraphTransformer.Config(node_types=(21,), edge_types=(4,)))
    plain, gps = ReferencePPGT(), GPS()
    grit = GraphTransformer(ours.config.override({"token_mixer": "GritAttention", "position": "NoPE"}))
    calls: dict[str, Callable[[], None]] = {}
    models: dict[str, nn.Module] = {}

    def add(name: str, model: nn.Module, answers: list[Callable[[], Tensor]]) -> None:
        def run() -> None:
            for answer in answers:
                model.zero_grad(set_to_none=True)
                answer().abs().mean().backward()

        calls[name], models[name] = run, model

    fast, fast_gps = None, None
    if compiled:
        fast, fast_gps = compile_model(copy.deepcopy(ours)), copy.deepcopy(gps)
        for layer in fast_gps.layers:
            layer.compile(dynamic=True)
    for kind, pool in (("by chance", 1), ("of like size", 16)):
        task = Graphs(Graphs.Config(data="molecules", target="log_p", pool=pool))
        task.adapt(ours.config)
        batches = list(islice(task.batches(BATCH, seed=0), BATCHES))
        dense, sparse = [], []
        for batch in batches:
            walks = random_walks(batch.adjacency, STEPS).float()
            mask = torch.ones(batch.adjacency.shape[:2], dtype=torch.bool) if batch.mask is None else batch.mask
            assert batch.nodes is not None
            assert batch.edges is not None
            dense.append((batch.adjacency.float(), mask, batch.nodes[..., 0], batch.edges[..., 0], walks))
            sparse.append(of_torch_geometric(batch, walks.diagonal(0, 1, 2).transpose(1, 2)))
        float_batches = [replace(batch, adjacency=batch.adjacency.float()) for batch in batches]
        add(f"formarium, batches {kind}", ours, [lambda b=b: ours(**b.inputs()) for b in float_batches])
        if fast is not None:
            add(f"formarium compiled, batches {kind}", fast, [lambda b=b: fast(**b.inputs()) for b in float_batches])
        add(
            f"formarium, attention of GRIT, batches {kind}",
            grit,
            [lambda b=b: grit(**b.inputs()) for b in float_batches],
        )
        add(f"plain PyTorch, batches {kind}", plain, [lambda b=b: plain(*b) for b in dense])
        add(f"GPSConv, batches {kind}", gps, [lambda b=b: gps(b) for b in sparse])
        if fast_gps is not None:
            add(f"GPSConv compiled, batches {kind}", fast_gps, [lambda b=b: fast_gps(b) for b in sparse])
    seconds = interleaved(calls, repeats, warm=2)
    table = Table(
        f"Training step of {BATCH} molecules, {DEPTH} x {WIDTH}, float32",
        ("", "parameters", "median", "best", "against formarium, batches of like size"),
    )
    for name, own in seconds.items():
        times = ratio(seconds["formarium, batches of like size"], own)
        size = sum(p.numel() for p in models[name].parameters())
        cells = [f"{1e3 * s / BATCHES:.0f} ms" for s in (statistics.median(own), min(own))]
        table.row(name, f"{size:,}", *cells, f"{times:.2f}x")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compiled", action="store_true", help="also with layers through torch.compile (minutes)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    table = training(options.repeats, options.compiled)
    write("Graph Transformers against their peers", [table], options.write)


if __name__ == "__main__":
    main()
