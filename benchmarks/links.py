"""Knowledge graphs on FB15k-237: ranking the whole test set, and training steps, against PyKEEN where it is installed.

Ranking is filtered, of both sides of all 20,466 triples, among all 14,541 entities; the two must agree on the mean
reciprocal rank of the same weights. Training steps are forward, backward and Adam: ComplEx with the cross-entropy of
all entities and reciprocal relations, RotatE with 256 random tails a triple; and LinkPredictor, the model of CAT.

FORMARIUM_DATA=... python benchmarks/links.py --write docs/benchmarks/links.md
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from report import Table, ratio, write
from torch import Tensor, nn

from formarium.lab.timing import interleaved
from formarium.models import ComplEx, LinkPredictor, RotatE
from formarium.tasks import Links

WIDTH, BATCH, NEGATIVES = 200, 512, 256


def pykeen() -> Any:
    """PyKEEN's modules, or None."""
    try:
        import pykeen.evaluation
        import pykeen.models
        import pykeen.triples
    except ImportError:
        return None
    return pykeen


def factories(peer: Any, task: Links, inverse: bool) -> dict[str, Any]:
    """The splits as PyKEEN keeps them."""
    graph = task.graph
    given = {"num_entities": len(graph.entities), "num_relations": len(graph.relations)}
    splits = {split: torch.from_numpy(triples) for split, triples in graph.splits.items()}
    return {
        split: peer.triples.CoreTriplesFactory(triples, create_inverse_triples=inverse and split == "train", **given)
        for split, triples in splits.items()
    }


def ranking(task: Links, peer: Any, repeats: int) -> Table:
    """The test set ranked by the same ComplEx, and by LinkPredictor."""
    ours: ComplEx = task.adapt(ComplEx.Config(width=WIDTH)).build()
    triples = task.graph.splits["test"]
    limit = min(len(triples), task.config.evaluation_triples or len(triples))
    triples = triples[np.linspace(0, len(triples) - 1, limit).round().astype(np.int64)]
    predictor: LinkPredictor = task.adapt(LinkPredictor.Config(width=WIDTH, depth=1, heads=4)).build()
    found: dict[str, float] = {}

    def own(name: str, model: Any) -> Callable[[], None]:
        def run() -> None:
            found[name] = task.rank(model, "test").mean_reciprocal()

        return run

    calls = {"formarium, ComplEx": own("formarium, ComplEx", ours)}
    calls["formarium, LinkPredictor of CAT"] = own("formarium, LinkPredictor of CAT", predictor)
    if peer is not None:
        splits = factories(peer, task, inverse=False)
        model = peer.models.ComplEx(triples_factory=splits["train"], embedding_dim=WIDTH // 2)
        evaluator = peer.evaluation.RankBasedEvaluator(filtered=True)
        known = [factory.mapped_triples for factory in splits.values()]

        def run() -> None:
            result = evaluator.evaluate(
                model, torch.from_numpy(triples), batch_size=256, additional_filter_triples=known, use_tqdm=False
            )
            found["PyKEEN, ComplEx"] = float(result.get_metric("both.realistic.inverse_harmonic_mean_rank"))

        calls["PyKEEN, ComplEx"] = run
        _share_weights(ours, model)
    seconds = interleaved(calls, repeats, warm=0)  # minutes: what a first call costs does not show
    if peer is not None and abs(found["PyKEEN, ComplEx"] - found["formarium, ComplEx"]) > 1e-6:
        raise SystemExit(f"the two disagree on the mean reciprocal rank: {found}")
    queries = 2 * len(triples)
    table = Table(
        f"Filtered ranking of {queries:,} queries among {len(task.graph.entities):,} entities, width {WIDTH}",
        ("", "median", "queries a second", "against formarium, ComplEx"),
    )
    for name, own_seconds in seconds.items():
        middle = statistics.median(own_seconds)
        times = ratio(seconds["formarium, ComplEx"], own_seconds)
        table.row(name, f"{middle:.1f} s", f"{queries / middle:,.0f}", f"{times:.2f}x")
    return table


def _share_weights(ours: ComplEx, theirs: Any) -> None:
    """Their tables into ours; without reciprocal relations theirs scores heads with the conjugate of a relation."""
    representations = theirs.entity_representations, theirs.relation_representations
    entities, relations = (own[0]._embeddings.weight.detach() for own in representations)

    def halves(rows: Tensor) -> tuple[Tensor, Tensor]:
        pairs = torch.view_as_real(rows) if rows.is_complex() else rows.unflatten(-1, (-1, 2))
        return pairs[..., 0], pairs[..., 1]

    real, imaginary = halves(relations)
    with torch.no_grad():
        ours.entities.weight.copy_(torch.cat(halves(entities), dim=-1))
        there, back = torch.cat((real, imaginary), dim=-1), torch.cat((real, -imaginary), dim=-1)
        ours.relations.weight.copy_(torch.cat((there, back)))


def training(peer: Any, data: str, repeats: int) -> Table:
    base = Links.Config(data=data, negatives=NEGATIVES, smoothing=0.1)
    tasks = {kind: Links(base.override({"objective": kind})) for kind in ("cross_entropy", "negatives")}
    batches = {kind: next(task.batches(BATCH, seed=0)) for kind, task in tasks.items()}
    calls: dict[str, Callable[[], None]] = {}

    def add(name: str, model: nn.Module, loss: Callable[[], Tensor]) -> None:
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

        def run() -> None:
            optimiser.zero_grad(set_to_none=True)
            loss().backward()
            optimiser.step()

        calls[name] = run

    every, some = tasks["cross_entropy"], tasks["negatives"]
    models = {
        "formarium, ComplEx, all entities": (every, ComplEx.Config(width=WIDTH)),
        "formarium, LinkPredictor of CAT, all entities": (every, LinkPredictor.Config(width=WIDTH, depth=1, heads=4)),
        f"formarium, RotatE, {NEGATIVES} tails": (some, RotatE.Config(width=WIDTH, norm=2)),
    }
    for name, (task, config) in models.items():
        model = task.adapt(config).build()
        batch = batches[task.config.objective]
        add(name, model, lambda model=model, task=task, batch=batch: task.loss(model, batch))  # type: ignore[misc]
    if peer is not None:
        splits = factories(peer, every, inverse=True)
        model = peer.models.ComplEx(triples_factory=splits["train"], embedding_dim=WIDTH // 2, regularizer=None)
        batch = batches["cross_entropy"]
        # PyKEEN numbers a relation and its inverse side by side.
        count = len(every.graph.relations)
        relations = batch["relations"] % count * 2 + batch["relations"] // count
        pairs = torch.stack((batch["heads"], relations), dim=1)

        def against_all() -> Tensor:
            return F.cross_entropy(model.score_t(pairs), batch["tails"], label_smoothing=0.1)

        add("PyKEEN, ComplEx, all entities", model, against_all)
        turned = peer.models.RotatE(triples_factory=splits["train"], embedding_dim=WIDTH // 2)
        few = batches["negatives"]
        tails = torch.cat((few["tails"][:, None], few["negatives"]), dim=1)
        turns = few["relations"] % count * 2 + few["relations"] // count
        rows = [few["heads"], turns]
        triples = torch.stack([*(r[:, None].expand_as(tails) for r in rows), tails], dim=-1)

        def against_some() -> Tensor:
            scores = turned.score_hrt(triples.reshape(-1, 3)).view_as(tails)
            return some._against_negatives(scores, few["true"])

        add(f"PyKEEN, RotatE, {NEGATIVES} tails", turned, against_some)
    seconds = interleaved(calls, repeats, warm=2)
    table = Table(
        f"Training step of {BATCH} triples, width {WIDTH}", ("", "median", "triples a second", "against ours")
    )
    for name, own in seconds.items():
        same = name.replace("PyKEEN", "formarium")
        middle = statistics.median(own)
        table.row(name, f"{1e3 * middle:.0f} ms", f"{BATCH / middle:,.0f}", f"{ratio(seconds[same], own):.2f}x")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a Markdown file for the tables")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--triples", type=int, help="rank only so many test triples")
    parser.add_argument("--data", default="FB15k-237")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    peer = pykeen()
    tables = [
        ranking(Links(Links.Config(data=options.data, evaluation_triples=options.triples)), peer, options.repeats),
        training(peer, options.data, 5 * options.repeats),
    ]
    title = "Knowledge graphs against PyKEEN" if peer is not None else "Knowledge graphs"
    write(title, tables, options.write)


if __name__ == "__main__":
    main()
