import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.config import ConfigError, parse
from formarium.errors import CheckpointError, DataError
from formarium.models import ComplEx, DistMult, LinkPredictor, TripleScorer
from formarium.tasks.links import cross_entropy
from formarium.tasks.links.completing import Completer
from formarium.tasks.links.graph import with_reciprocals
from formarium.tasks.links.ranking import rank_queries
from formarium.tasks.links.task import Links
from formarium.training import Training, fit

SMALL = "Geometries(branching=2, depth=3, cycles=2, cycle_length=6, grid=3)"


def build(**settings: object) -> Links:
    task: Links = Links.Config().override({"data": SMALL, **settings}).build()
    task.prepare()
    return task


def model_for(task: Links, text: str = "DistMult(width=8)") -> TripleScorer:
    torch.manual_seed(0)
    model: TripleScorer = task.adapt(parse(text)).build()
    return model


def test_a_task_is_described_whole() -> None:
    for text in ("Links", f"Links(data={SMALL}, objective=negatives)", "Links(data=WN18RR, unseen=drop)"):
        config = parse(text)
        assert parse(config.describe()) == config
        assert type(config).from_dict(config.to_dict()) == config


@pytest.mark.parametrize("objective", ["cross_entropy", "binary", "negatives"])
def test_batches_follow_from_seed_and_number_alone(objective: str) -> None:
    task = build(objective=objective)

    def take(count: int, size: int = 7, **settings: int) -> list[dict[str, Tensor]]:
        return list(itertools.islice(task.batches(size, **settings), count))  # type: ignore[arg-type]

    first = take(30, seed=1)
    for a, b in zip(first[20:], take(10, seed=1, start=20), strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(not torch.equal(a["heads"], b["heads"]) for a, b in zip(first, take(30, seed=2), strict=True))
    # Two processes see together what one with batches of twice the size sees.
    halves = [take(5, seed=1, rank=rank, world=2) for rank in (0, 1)]
    for whole, left, right in zip(take(5, 14, seed=1), *halves, strict=True):
        assert torch.equal(whole["heads"], torch.cat((left["heads"], right["heads"])))
    # A pass shows every example once.
    size = len(task._examples)
    (once,) = take(1, size, seed=3)
    seen = torch.stack([once[k] for k in ("heads", "relations", "tails") if k in once], dim=1)
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, task._examples.tolist()))
    assert task.batches_per_epoch(7) == size // 7


def test_both_directions_are_trained() -> None:
    task = build()
    relations = len(task.graph.relations)
    both = task._training
    n = len(both) // 2
    assert torch.equal(both[:n, 0], both[n:, 2])
    assert torch.equal(both[:n, 1] + relations, both[n:, 1])


def test_cross_entropy_is_that_of_smoothed_labels() -> None:
    task = build(smoothing=0.2)
    model, batch = model_for(task), next(task.batches(9, seed=0))
    scores = model(batch["heads"], batch["relations"])
    entities = scores.shape[1]
    targets = torch.full_like(scores, 0.2 / entities).scatter_add(1, batch["tails"][:, None], torch.full((9, 1), 0.8))
    expected = -(targets * scores.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(task.loss(model, batch), expected)


@pytest.mark.parametrize("text", ["LinkPredictor(width=8, heads=2)", "DistMult(width=8)", "ComplEx(width=8, n3=0.1)"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_by_blocks_of_scores_is_the_same(
    text: str, smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_entropy, "_SCORES", 1)  # blocks of 16 queries, and a rest
    task = build(smoothing=smoothing)
    model, batch = model_for(task, text), next(task.batches(35, seed=0))
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    assert model.products(batch["heads"], batch["relations"]) is not None

    def found() -> list[Tensor]:
        model.zero_grad()
        loss = 2 * task.loss(model, batch)
        loss.backward()
        return [loss.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]

    fast = found()
    with torch.no_grad():  # without gradients, scores are made as always
        torch.testing.assert_close(2 * task.loss(model, batch), fast[0])
    monkeypatch.setattr(type(model), "products", lambda *args: None)
    for own, plain in zip(fast, found(), strict=True):
        torch.testing.assert_close(own, plain, atol=1e-6, rtol=1e-4)


def test_binary_loss_knows_every_right_tail() -> None:
    task = build(objective="binary", smoothing=0.1)
    model, batch = model_for(task), next(task.batches(60, seed=0))
    scores = model(batch["heads"], batch["relations"])
    train = set(map(tuple, task._training.tolist()))
    pairs = zip(batch["heads"].tolist(), batch["relations"].tolist(), strict=True)
    right = torch.tensor([[(h, r, t) in train for t in range(scores.shape[1])] for h, r in pairs]).float()
    assert (right.sum(1) >= 1).all()
    assert right.sum() > 60  # some questions have several answers
    expected = F.binary_cross_entropy_with_logits(scores, 0.9 * right + 0.1 / scores.shape[1])
    torch.testing.assert_close(task.loss(model, batch), expected)


def test_negatives_leave_true_triples_out_and_weigh_hard_ones() -> None:
    task = build(objective="negatives", negatives=40, adversarial=0.7)
    model, batch = model_for(task), next(task.batches(9, seed=0))
    train = set(map(tuple, task._training.tolist()))
    rows = zip(batch["heads"].tolist(), batch["relations"].tolist(), batch["negatives"].tolist(), strict=True)
    true = torch.tensor([[(h, r, t) in train for t in tails] for h, r, tails in rows])
    assert torch.equal(batch["true"], true)
    assert true.any()
    scores = model(batch["heads"], batch["relations"])
    wrong, right = scores.gather(1, batch["negatives"]), scores.gather(1, batch["tails"][:, None])[:, 0]
    total = torch.tensor(0.0)
    for i in range(9):
        own = wrong[i][~true[i]]
        weights = torch.softmax(0.7 * own, dim=-1).detach()
        total = total - F.logsigmoid(right[i]) - (weights * F.logsigmoid(-own)).sum()
    torch.testing.assert_close(task.loss(model, batch), total / 18)
    batch["true"] = torch.ones_like(true)  # all drawn tails happen to be right
    assert task.loss(model, batch).isfinite()


@pytest.mark.parametrize("name", ["DistMult", "ComplEx", "LinkPredictor"])
def test_penalties_of_the_model_join_the_loss(name: str) -> None:
    task = build()
    batch = next(task.batches(9, seed=0))
    plain, penalised = (model_for(task, f"{name}(width=8, n3={n3})") for n3 in (0.0, 0.5))
    penalties: list[Tensor] = []
    penalised(batch["heads"], batch["relations"], penalties=penalties)
    torch.testing.assert_close(task.loss(penalised, batch), task.loss(plain, batch) + penalties[0])
    if name != "ComplEx":  # which counts complex numbers
        head, relation = penalised.entities(batch["heads"]), penalised.relations(batch["relations"])
        cubes = 2 * head.abs().pow(3).sum() + relation.abs().pow(3).sum()
        torch.testing.assert_close(penalties[0], 0.5 * cubes / len(head))


@pytest.mark.parametrize("name", ["DistMult", "ComplEx", "RotatE", "LinkPredictor"])
def test_tails_are_candidates_for_each_head(name: str) -> None:
    model = model_for(build(), f"{name}(width=8)").eval()
    heads, relations, tails = torch.tensor([0, 1, 2]), torch.tensor([0, 0, 1]), torch.tensor([3, 4, 5])
    own = model(heads, relations, tails[:, None])[:, 0]
    torch.testing.assert_close(own, model(heads, relations).gather(1, tails[:, None])[:, 0], atol=1e-4, rtol=1e-4)
    for wrong in (tails, tails[:2, None]):
        with pytest.raises(DataError, match=r"candidates for each head, 3 rows .* give tails\[:, None\]"):
            model(heads, relations, wrong)


def test_evaluation_is_the_filtered_ranking_of_both_sides() -> None:
    task = build()
    model = model_for(task)
    relations = len(task.graph.relations)
    everything = {tuple(t) for rows in task.graph.splits.values() for t in with_reciprocals(rows, relations).tolist()}
    ranks = []
    for h, r, t in with_reciprocals(task.graph.splits["test"], relations).tolist():
        scores = model(torch.tensor([h]), torch.tensor([r]))[0].tolist()
        others = [s for e, s in enumerate(scores) if e != t and (h, r, e) not in everything]
        ranks.append(1 + sum(s > scores[t] for s in others) + sum(s == scores[t] for s in others) / 2)
    found = task.evaluate(model, "test", ["mrr", "hits@1", "hits", "hits@3", "mean_rank"])
    assert found["mrr"] == pytest.approx(np.mean(1 / np.array(ranks)))
    assert found["mean_rank"] == pytest.approx(np.mean(ranks))
    for name, k in (("hits@1", 1), ("hits@3", 3), ("hits", 10)):
        assert found[name] == pytest.approx(np.mean(np.array(ranks) <= k))
    assert model.training  # as it was before
    assert list(task.evaluate(model)) == ["mrr"]


def test_evaluation_can_be_of_fewer_triples_and_of_other_ranks() -> None:
    model = model_for(build())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert len(build(evaluation_triples=3).rank(model, "test").optimistic) == 6
    found = [build(ranks=kind).evaluate(model)["mrr"] for kind in ("optimistic", "realistic", "pessimistic")]
    assert found[0] == 1
    assert found[0] > found[1] > found[2]  # type: ignore[operator]


def test_what_cannot_be_done_is_refused() -> None:
    task = build()
    model = model_for(task)
    for name in ("accuracy", "mrr@10"):
        with pytest.raises(ConfigError, match="measures no"):
            task.evaluate(model, metrics=[name])
    for name in ("hits@0", "hits@x", "hits@"):
        with pytest.raises(ConfigError, match="a rank from 1 on"):
            task.evaluate(model, metrics=[name])
    with pytest.raises(ConfigError, match="takes a model of triples"):
        task.adapt(parse("Decoder"))
    for settings in ({"held_out": 0.5}, {"smoothing": 1.0}, {"negatives": 0}, {"evaluation_triples": 0}):
        with pytest.raises(ConfigError):
            Links.Config().override(settings).build()


def test_a_graph_that_leaves_nothing_to_validate_on_is_refused(tmp_path: Path) -> None:
    (tmp_path / "all.tsv").write_text("a\tr\tb\nc\tr\td\n")
    with pytest.raises(DataError, match="no triples for validation"):
        build(data=str(tmp_path / "all.tsv"))


def test_baseline_and_models_get_the_size_of_the_graph() -> None:
    task = build()
    for config in (task.baseline(), task.adapt(LinkPredictor.Config())):
        assert config.entities == len(task.graph.entities)  # type: ignore[attr-defined]
        assert config.relations == len(task.graph.relations)  # type: ignore[attr-defined]
    assert isinstance(task.baseline(), ComplEx.Config)


def test_ranks_of_a_whole_model_are_those_of_pykeen() -> None:
    pytest.importorskip("pykeen.version")
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.models import DistMult as Theirs
    from pykeen.triples import TriplesFactory

    task = build(data="nations")
    graph = task.graph
    relations = len(graph.relations)
    labelled = {
        split: np.array([(graph.entities[h], graph.relations[r], graph.entities[t]) for h, r, t in rows])
        for split, rows in graph.splits.items()
    }
    factory = TriplesFactory.from_labeled_triples(labelled["train"])
    same = {"entity_to_id": factory.entity_to_id, "relation_to_id": factory.relation_to_id}
    others = [TriplesFactory.from_labeled_triples(labelled[s], **same) for s in ("validation", "test")]
    model = model_for(task)
    assert isinstance(model, DistMult)
    theirs = Theirs(triples_factory=factory, embedding_dim=8, random_seed=0)
    with torch.no_grad():
        model.relations.weight[relations:] = model.relations.weight[:relations]
        order = torch.tensor([factory.entity_to_id[label] for label in graph.entities])
        theirs.entity_representations[0]._embeddings.weight[order] = model.entities.weight
        order = torch.tensor([factory.relation_to_id[label] for label in graph.relations])
        theirs.relation_representations[0]._embeddings.weight[order] = model.relations.weight[:relations]
    found = RankBasedEvaluator(filtered=True).evaluate(
        theirs,
        others[1].mapped_triples,
        additional_filter_triples=[factory.mapped_triples, others[0].mapped_triples],
        use_tqdm=False,
        batch_size=64,
    )
    ours = task.rank(model, "test")
    for kind in ("optimistic", "realistic", "pessimistic"):
        assert ours.mean_reciprocal(kind) == pytest.approx(found.get_metric(f"both.{kind}.mrr"), abs=1e-6)
        assert ours.hits(3, kind) == pytest.approx(found.get_metric(f"both.{kind}.hits_at_3"), abs=1e-6)
        assert ours.mean(kind) == pytest.approx(found.get_metric(f"both.{kind}.arithmetic_mean_rank"), rel=1e-6)


def test_a_small_transformer_beats_counting_on_real_data() -> None:
    """Nations of 1950 to 1965 (Kim et al.): a trivial answer is the entity that a relation leads to most often."""
    pytest.importorskip("pykeen.version")
    task = build(data="nations")
    counts = torch.zeros(2 * len(task.graph.relations), len(task.graph.entities))
    train = task.queries("train")
    counts.index_put_((train[:, 1], train[:, 2]), torch.tensor(1.0), accumulate=True)
    trivial = rank_queries(lambda heads, relations: counts[relations], task.queries("validation"), task.known)
    training = Training(steps=120, batch_size=256, learning_rate=5e-3, weight_decay=0.0)
    predictor = task.adapt(LinkPredictor.Config(width=24, depth=1, heads=2))
    _, result = fit(predictor, task, training, metrics=("mrr",), show=False)
    assert result.metrics["mrr"] > trivial.mean_reciprocal() + 0.1  # type: ignore[operator]


def test_rotations_learn_cycles_that_symmetric_products_cannot() -> None:
    cycles = "Geometries(branching=0, grid=0, cycles=8, cycle_length=8)"
    training = Training(steps=250, batch_size=128, learning_rate=3e-2, weight_decay=0.0)
    found = {}
    for text, objective in (("RotatE(width=16, margin=4.0)", "negatives"), ("DistMult(width=16)", "cross_entropy")):
        task = build(data=cycles, objective=objective, negatives=32)
        _, result = fit(task.adapt(parse(text)), task, training, metrics=("mrr",), show=False)
        found[text[:6]] = result.metrics["mrr"]
    assert found["RotatE"] > 0.9  # type: ignore[operator]
    assert found["DistMu"] < 0.6  # type: ignore[operator]


def written(folder: Path, rename: dict[str, str], more: Sequence[tuple[str, str, str]] = ()) -> str:
    """The three splits of the small graph as files, some entities under another name."""
    graph = build().graph
    folder.mkdir()
    for split, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        rows = [(graph.entities[h], graph.relations[r], graph.entities[t]) for h, r, t in graph.splits[split].tolist()]  # type: ignore[index]
        rows += more if split == "test" else ()
        lines = ["\t".join((rename.get(h, h), r, rename.get(t, t))) for h, r, t in rows]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return str(folder)


def test_other_data_are_measured_by_the_numbers_of_the_model(tmp_path: Path) -> None:
    task = build(data=written(tmp_path / "own", {}))
    model, _ = fit(
        model_for(task).config, task, Training(steps=30, batch_size=32), folder=tmp_path / "model", show=False
    )
    own = task.evaluate(model, "test")
    shuffled = written(tmp_path / "same", {})
    lines = (tmp_path / "same" / "test.tsv").read_text().splitlines()
    (tmp_path / "same" / "test.tsv").write_text("\n".join(lines[:4]) + "\n")  # fewer entities may be named, too
    part: Links = Links.Config(data=shuffled).build()
    part.trained(model, tmp_path / "model")
    queries = with_reciprocals(task.graph.splits["test"][:4], len(task.graph.relations))
    ranks = rank_queries(lambda h, r: model(h, r).float(), torch.from_numpy(queries), task.known)
    assert part.evaluate(model, "test")["mrr"] == pytest.approx(ranks.mean_reciprocal(), rel=0.2)
    again: Links = Links.Config(data=written(tmp_path / "again", {})).build()
    again.trained(model, tmp_path / "model")
    assert again.evaluate(model, "test") == own
    strange = written(tmp_path / "strange", {"tree_1": "zzz"})
    other: Links = Links.Config(data=strange).build()
    other.trained(model, tmp_path / "model")
    with pytest.raises(DataError, match=r"name what the model does not know, as 'zzz'; unseen=drop leaves them out"):
        other.evaluate(model, "train")
    # What other splits name does not matter to this one.
    assert other.evaluate(model, "test") == own
    dropping: Links = Links.Config(data=strange, unseen="drop").build()
    dropping.trained(model, tmp_path / "model")
    assert 0 < dropping.evaluate(model, "test")["mrr"] <= 1  # type: ignore[operator]
    larger = build(data=written(tmp_path / "larger", {}, [("new", "tree_1", "tree_0")]))
    with pytest.raises(DataError, match=r"the model has \d+ entities and .* has"):
        larger.evaluate(model, "test")


def test_a_run_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    data = written(tmp_path / "data", {})
    task = build(data=data)
    config, training = model_for(task).config, Training(steps=4, batch_size=32)
    fit(config, task, training, folder=tmp_path / "run", show=False)
    fit(config, build(data=data), training, folder=tmp_path / "run", show=False)
    for file in (tmp_path / "data").iterdir():
        file.write_text(file.read_text().replace("tree_1\t", "zzz\t"))
    with pytest.raises(CheckpointError, match="holds another run: it learned from other data"):
        fit(config, build(data=data), training, folder=tmp_path / "run", show=False)


def test_triples_of_the_training_are_told_and_filtered_in_other_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, other = tmp_path / "model", tmp_path / "other"
    task = build()
    model, _ = fit(task.adapt(parse("DistMult(width=8)")), task, Training(steps=2), folder=folder, show=False)
    graph = task.graph
    names = [[(graph.entities[h], graph.relations[r], graph.entities[t]) for h, r, t in graph.splits["train"].tolist()]]
    other.mkdir()
    rows = {"train": names[0][4:], "valid": names[0][:4], "test": names[0][2:3]}
    for split, triples in rows.items():
        (other / f"{split}.tsv").write_text("".join("\t".join(row) + "\n" for row in triples))
    changed: Links = Links.Config(data=str(other)).build()
    changed.trained(model, folder)
    capsys.readouterr()
    changed.evaluate(model, "validation", ["mrr"])
    assert "4 of 4 validation triples" in (said := " ".join(capsys.readouterr().err.split()))
    assert "stood in the model's training" in said
    # All that training held is known, whatever these data hold of it.
    assert len(changed.known._keys) == 2 * len({tuple(row) for row in graph.splits["train"].tolist()})
    own: Links = Links.Config(data=SMALL).build()
    own.trained(model, folder)
    own.evaluate(model, "test", ["mrr"])
    assert "stood in the model's training" not in capsys.readouterr().err
    (folder / "triples.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="is damaged"):
        Links.Config(data=str(other)).build().trained(model, folder)


def test_other_data_are_asked_by_what_the_model_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What training of the other data lacks is no matter, if the model knows it."""
    task = build()
    folder, other = tmp_path / "model", tmp_path / "other"
    model, _ = fit(task.adapt(parse("DistMult(width=8)")), task, Training(steps=2), folder=folder, show=False)
    graph = task.graph
    named = [(graph.entities[h], graph.relations[r], graph.entities[t]) for h, r, t in graph.splits["train"].tolist()]
    other.mkdir()
    strange = ("nobody", named[0][1], named[0][0])
    rows = {"train": named[:2], "valid": [strange], "test": [*named[5:12], strange]}
    for split, triples in rows.items():
        (other / f"{split}.tsv").write_text("".join("\t".join(row) + "\n" for row in triples))

    def asked(**settings: object) -> Links:
        made: Links = Links.Config(data=str(other)).override(settings).build()
        made.trained(model, folder)
        made.prepare()
        return made

    capsys.readouterr()
    dropping = asked(unseen="drop")
    assert len(dropping.rank(model, "test").optimistic) == 2 * 7
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 8 test triples name what the model does not know: they are left out" in said
    assert "never saw" not in said
    with pytest.raises(DataError, match="the model knows what none of the 1 validation triples"):
        dropping.evaluate(model, "validation")
    with pytest.raises(DataError, match="1 of 8 test triples name what the model does not know, as 'nobody'"):
        asked().evaluate(model, "test")
    assert asked().evaluate(model, "train")["mrr"] > 0  # type: ignore[operator]


@pytest.mark.parametrize(
    "triples", [[[999, 0, 1]], [[0, 77, 1]], [[0, -1, 1]], [[0.5, 0.0, 1.0]], [["a", "b", "c"]], [[0, 1]]]
)
def test_triples_that_are_not_those_of_the_model_are_refused(tmp_path: Path, triples: list[list[object]]) -> None:
    task = build()
    fit(task.adapt(parse("DistMult(width=8)")), task, Training(steps=1), folder=tmp_path / "model", show=False)
    np.save(tmp_path / "model" / "triples.npy", np.array(triples))
    with pytest.raises(DataError, match=r"triples\.npy is damaged"):
        Completer.load(tmp_path / "model")


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e39x"])
def test_weights_of_negatives_are_numbers(value: str) -> None:
    with pytest.raises(ConfigError, match="adversarial"):
        Links.Config().override({"adversarial": value}).build()
