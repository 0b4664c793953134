"""The task on graphs: its data, its batches, its metrics, and that a model learns what a guess cannot know."""

from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from formarium.config import ConfigError
from formarium.errors import CheckpointError, DataError
from formarium.models import Decoder, GraphTransformer, MessagePassing
from formarium.tasks import Graphs
from formarium.tasks.graphs.batch import GraphBatch, Walks, collate
from formarium.tasks.graphs.graph import Graph, make_graph, widths
from formarium.tasks.graphs.sources import load
from formarium.tasks.task import SPLITS
from formarium.training import Training, harness

HERE = __name__


def ring(nodes: int, **target: object) -> Graph:
    return make_graph(nodes, [(i, (i + 1) % nodes) for i in range(nodes)], **target)  # type: ignore[arg-type]


def rings() -> list[Graph]:
    return [ring(3 + i % 9, target=[float(i % 9), np.nan if i % 3 else 1.0]) for i in range(60)]


def splits() -> dict[str, list[Graph]]:
    return {s: [ring(n, target=n % 2) for n in (4, 5, 6)] for s in ("train", "validation", "test")}


def one_graph() -> list[Graph]:
    return [ring(60, node_types=np.arange(60) % 3, node_targets=np.arange(60) % 3)]


def asked(nodes: int, count: int) -> Graph:
    """Pairs of a ring's nodes, one in two at most two steps apart, which is what is asked."""
    generator = np.random.default_rng(nodes)
    one = generator.integers(0, nodes, count)
    far = generator.integers(3, nodes - 2, count)
    step = np.where(np.arange(count) % 2, generator.integers(1, 3, count), far)
    return ring(nodes, links=np.stack((one, (one + step) % nodes), 1), link_targets=np.arange(count) % 2)


def asked_about_pairs() -> list[Graph]:
    return [asked(7 + i % 5, i % 7) for i in range(120)]


def asked_about_pairs_of_one() -> list[Graph]:
    return [asked(40, 200)]


def few() -> list[Graph]:
    return [ring(n, target=float(n)) for n in range(3, 13)]


def aimless() -> list[Graph]:
    return [ring(n) for n in range(3, 33)]


def task(**settings: object) -> Graphs:
    return Graphs(Graphs.Config().override(settings))


def tiny(made: Graphs) -> GraphTransformer:
    base = made.baseline()
    built: GraphTransformer = base.replace(width=16, depth=2, heads=2).build()
    return built


def fit(made: Graphs, steps: int, rate: float = 4e-3) -> GraphTransformer:
    net = tiny(made)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate)
    for step, batch in enumerate(islice(made.batches(32, seed=0), steps)):
        optimiser.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 10) * (1 - step / steps)
        optimiser.zero_grad()
        made.loss(net, batch).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    return net


def test_learns_spanning_trees_far_better_than_the_mean() -> None:
    made = task()
    made.prepare()
    assert {s: len(g) for s, g in made.graphs.items()} == {"train": 794, "validation": 99, "test": 99}
    found = made.evaluate(fit(made, 80), "test", ["r2", "mae", "loss", "rmse"])
    assert float(found["r2"]) > 0.6  # type: ignore[arg-type]
    assert float(found["mae"]) <= float(found["rmse"])  # type: ignore[arg-type]


def test_learns_which_nodes_hold_a_graph_together() -> None:
    made = task(target="cut_nodes")
    made.prepare()
    assert made.level == "node"
    assert made.classes == 2
    assert float(made.evaluate(fit(made, 120, rate=8e-3), "test", ["macro_f1"])["macro_f1"]) > 0.8  # type: ignore[arg-type]


def test_batches_follow_from_seed_and_number_alone() -> None:
    made = task()
    made.baseline()

    def key(batch: GraphBatch) -> tuple[int, float]:
        assert batch.targets is not None
        return int(batch.adjacency.sum()), float(batch.targets.sum())

    whole = [key(batch) for batch in islice(made.batches(8, seed=3), 40)]
    assert [key(batch) for batch in islice(made.batches(8, seed=3, start=17), 23)] == whole[17:]
    assert [key(batch) for batch in islice(made.batches(8, seed=4), 40)] != whole


def test_an_epoch_shows_every_graph_once_and_ranks_share_it() -> None:
    made = task(data=f"{HERE}:rings", pool=3)
    names = {id(graph): i for i, graph in enumerate(made.graphs["train"])}
    assert len(names) == 48
    seen: list[int] = []
    original = made._batch

    def recording(graphs: list[Graph], split: str) -> GraphBatch:
        seen.extend(names[id(g)] for g in graphs)
        return original(graphs, split)  # type: ignore[arg-type]

    made._batch = recording  # type: ignore[assignment, method-assign]
    list(islice(made.batches(8, seed=0), 6))
    assert sorted(seen) == list(range(48))
    seen.clear()
    for rank in range(2):
        list(islice(made.batches(4, seed=0, rank=rank, world=2), 6))
    assert sorted(seen) == list(range(48))


def test_batches_of_a_pool_hold_graphs_of_like_size() -> None:
    wasted = {}
    for pool in (1, 16):
        batches = list(islice(task(data=f"{HERE}:rings", pool=pool).batches(4, seed=0), 48))
        sizes = [b.adjacency.any(-1).sum(1) for b in batches]
        wasted[pool] = sum(b.adjacency.numel() for b in batches) / sum(int(s.square().sum()) for s in sizes)
    assert wasted[16] < 1.15
    assert wasted[1] > 1.4


def test_unknown_targets_are_left_out() -> None:
    made = task(data=f"{HERE}:rings", objective="mse")
    made.prepare()
    net = tiny(made)
    assert net.config.outputs == 2
    batch = next(made.batches(8, seed=0))
    loss = made.loss(net, batch)
    assert torch.isfinite(loss)
    assert batch.targets is not None
    answers = net(**batch.inputs())
    mean, spread = made._scale
    scaled = (batch.targets - mean) / spread
    known = ~scaled.isnan()
    torch.testing.assert_close(loss, (answers - scaled.float())[known].square().mean())


def test_of_one_graph_nodes_are_held_out() -> None:
    made = task(data=f"{HERE}:one_graph", held_out=0.2)
    made.prepare()
    counts = [len(made._targets(s)) for s in ("train", "validation", "test")]
    assert sum(counts) == 60
    assert min(counts) > 3
    batch = next(made.batches(1, seed=0))
    assert batch.node_targets is not None
    assert int((batch.node_targets >= 0).sum()) == counts[0]
    net = fit(made, 40, rate=1e-2)
    assert float(made.evaluate(net, "test", ["accuracy"])["accuracy"]) > 0.9  # type: ignore[arg-type]


def test_splits_of_a_source_are_kept_and_metrics_are_of_classes() -> None:
    made = task(data=f"{HERE}:splits")
    made.prepare()
    assert list(made.metrics) == ["loss", "accuracy", "macro_f1"]
    found = made.evaluate(tiny(made), "test", ["loss", "accuracy"])
    assert set(found) == {"loss", "accuracy"}
    with pytest.raises(ConfigError, match="'mae' is not measured"):
        made.evaluate(tiny(made), "test", ["mae"])


def test_a_model_with_other_walks_makes_its_own() -> None:
    made = task()
    net = tiny(made)
    made.adapt(GraphTransformer.Config())  # of 24 steps: the batches now hold those
    batch = next(made.batches(4, seed=0))
    assert batch.walks is not None
    assert batch.walks.shape[-1] == 25
    assert torch.isfinite(made.loss(net, batch))


def test_tables_in_a_folder(tmp_path: Path) -> None:
    rows = ["graph,source,target"] + [f"g{i},{j},{(j + 1) % (3 + i % 4)}" for i in range(30) for j in range(3 + i % 4)]
    (tmp_path / "edges.csv").write_text("\n".join(rows))
    (tmp_path / "graphs.csv").write_text(
        "graph,label\n" + "\n".join(f"g{i},{'odd' if i % 2 else 'even'}" for i in range(30))
    )
    made = task(data=str(tmp_path))
    made.prepare()
    assert made.classes == 2
    assert sum(len(g) for g in made.graphs.values()) == 30


def test_labels_that_are_not_known_are_no_class(tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text("graph,source,target\n" + "".join(f"g{i},0,1\ng{i},1,2\n" for i in range(40)))
    names = ["odd", "even", "", "nan"]
    (tmp_path / "graphs.csv").write_text("graph,label\n" + "".join(f"g{i},{names[i % 4]}\n" for i in range(40)))
    made = task(data=str(tmp_path))
    assert made.classes == 2
    found = [int(graph.target) for split in made.graphs.values() for graph in split]  # type: ignore[arg-type]
    assert sorted(set(found)) == [-1, 0, 1]
    assert found.count(-1) == 20


def test_tables_of_which_nothing_is_asked_say_so(tmp_path: Path) -> None:
    rows = [f"g{i},{j},{(j + 1) % (3 + i % 4)}" for i in range(30) for j in range(3 + i % 4)]
    (tmp_path / "edges.csv").write_text("\n".join(["graph,source,target", *rows]))
    made = task(data=str(tmp_path / "edges.csv"))
    with pytest.raises(DataError, match="nothing is asked of the graphs"):
        made.adapt(GraphTransformer.Config())


def sparse() -> list[Graph]:
    return [ring(3 + i % 9, target=np.nan if i % 9 < 6 else float(i % 9)) for i in range(180)]


def test_a_batch_of_which_no_target_is_known_teaches_nothing() -> None:
    made = task(data=f"{HERE}:sparse")
    net = tiny(made)
    losses = [made.loss(net, batch) for batch in islice(made.batches(4, seed=0), 30)]
    assert all(bool(loss.isfinite()) for loss in losses)
    nothing = [loss for loss in losses if loss == 0]
    assert 0 < len(nothing) < 30
    nothing[0].backward()
    assert all(p.grad is None or not p.grad.any() for p in net.parameters())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("atlass", "did you mean 'atlas'"),
        ("no/such/folder", "no such file or folder"),
        ("formarium:nothing", "names no function"),
        ("pyg:NoSuchSet()", "no data set 'NoSuchSet'|need it installed"),
        ("pyg:TUDataset(", "not of the form|need it installed"),
    ],
)
def test_says_which_source_cannot_be_used(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(source, None, 0.1)


def test_refuses_what_cannot_be_asked() -> None:
    with pytest.raises(DataError, match="did you mean 'triangles'"):
        task(target="triangle").prepare()
    with pytest.raises(DataError, match="asks for nothing"):
        task(data=f"{HERE}:aimless").prepare()
    with pytest.raises(ConfigError, match="takes a GraphTransformer"):
        task().adapt(Decoder.Config())
    with pytest.raises(ConfigError, match="held out"):
        task(held_out=0.5)
    with pytest.raises(ConfigError, match="pool"):
        task(pool=0)


def needy(count: int) -> list[Graph]:
    return [ring(3)] * count


def nothing() -> None:
    return None


answer = 42


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("needy", "called without arguments, raised TypeError"),
        ("nothing", "returned no graphs, but NoneType"),
        ("answer", "raised TypeError"),
        ("", "names no function"),
    ],
)
def test_functions_that_return_no_graphs(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(f"{HERE}:{name}", None, 0.1)


def test_settings_that_mean_nothing_here_are_refused() -> None:
    with pytest.raises(ConfigError, match="brings its own targets"):
        task(data=f"{HERE}:sparse", target="triangles").prepare()
    with pytest.raises(ConfigError, match="classes are learned by cross-entropy"):
        task(target="planar", objective="mse").prepare()
    with pytest.raises(ConfigError, match="outputs of GraphTransformer follows from the task: it is 2 here, not 3"):
        task(target="planar").fitted(GraphTransformer.Config(outputs=3))
    with pytest.raises(ConfigError, match="it is 2 here, not 1"):
        task(target="planar").fitted(GraphTransformer.Config(outputs=1), ["outputs"])
    assert task(target="planar").fitted(GraphTransformer.Config()).outputs == 2  # type: ignore[attr-defined]


def test_a_missing_table_is_not_taken_for_a_name() -> None:
    with pytest.raises(DataError, match=r"no such file or folder$"):
        load("nofile.csv", None, 0.1)


@pytest.mark.parametrize("name", ["asked_about_pairs", "asked_about_pairs_of_one"])
def test_learns_about_pairs_of_nodes(name: str) -> None:
    made = task(data=f"{HERE}:{name}")
    made.prepare()
    assert (made.level, made.classes) == ("pair", 2)
    net = fit(made, 40)
    assert net.config.level == "pair"
    for split in ("validation", "test"):
        assert made.evaluate(net, split, ["accuracy"])["accuracy"] > 0.9


def test_pairs_of_one_graph_are_held_out() -> None:
    made = task(data=f"{HERE}:asked_about_pairs_of_one")
    batch = next(made.batches(32, seed=0))
    assert len(batch) == 1
    learned = batch.link_targets
    assert learned is not None
    whole = asked_about_pairs_of_one()[0].link_targets
    known = (learned >= 0).numpy()
    assert np.array_equal(learned.numpy()[known], whole[known])  # type: ignore[index]
    assert 0.7 < known.mean() < 0.9


def test_message_passing_answers_about_pairs_in_either_order() -> None:
    made = task(data=f"{HERE}:asked_about_pairs")
    net = made.adapt(MessagePassing.Config(width=8, depth=2)).build().eval()
    batch = next(made.batches(8, seed=0))
    assert batch.links is not None
    answers = net(**batch.inputs())
    assert answers.shape == (len(batch.links), 2)
    turned = replace(batch, links=batch.links[:, [0, 2, 1]])
    torch.testing.assert_close(net(**turned.inputs()), answers)
    with pytest.raises(DataError, match="give links"):
        net(batch.adjacency, batch.mask)
    assert made.loss(net.train(), batch).isfinite()


def test_few_graphs_are_in_a_batch_once_each() -> None:
    made = task(data=f"{HERE}:few")
    for batch in islice(made.batches(32, seed=0), 5):
        assert batch.targets is not None
        assert sorted(batch.targets.tolist()) == [float(graph.target) for graph in made.graphs["train"]]  # type: ignore[arg-type]


def shifted() -> dict[str, list[Graph]]:
    """Two numbers, whose means lie far apart, in opposite directions from those in training, outside of it."""
    moved = {"train": 0.0, "validation": 50.0, "test": 50.0}
    return {s: [ring(3 + i % 5, target=[i % 5 + by, i % 3 - by]) for i in range(15)] for s, by in moved.items()}


def saying(made: Graphs, answer: np.ndarray) -> GraphTransformer:
    """A model that always gives one answer, in the targets' own units."""
    net = tiny(made)
    mean, spread = made._scale
    last = net.head.layers[-1]
    last.weight.data.zero_()
    last.bias.data = (torch.from_numpy(answer).float() - mean) / spread
    return net


def test_r2_of_several_targets_is_around_the_mean_of_each() -> None:
    made = task(data=f"{HERE}:shifted")
    made.prepare()
    for split in SPLITS:
        targets = made._targets(split)
        found = made.evaluate(saying(made, targets.mean(0)), split, ["r2", "mae"])
        assert found["r2"] == pytest.approx(0, abs=1e-4)
        assert found["mae"] == pytest.approx(np.abs(targets - targets.mean(0)).mean(), rel=1e-4)
    off = np.array([0.0, 2.0])
    found = made.evaluate(saying(made, targets.mean(0) + off), "test", ["r2", "rmse"])
    assert found["r2"] == pytest.approx(-np.mean(off**2 / targets.var(0)), rel=1e-3)
    assert found["rmse"] == pytest.approx(np.sqrt((targets.var(0) + off**2).mean()), rel=1e-4)


def test_r2_of_one_target_is_the_share_of_its_variance_that_is_explained() -> None:
    made = task()
    made.prepare()
    net = fit(made, 5)
    batches = [made._answers(net.eval(), batch)[:2] for batch in made._whole("test")]
    with torch.no_grad():
        answers, targets = (torch.cat(rows).double() for rows in zip(*batches, strict=True))
    rest, whole = (answers - targets).square().sum(), (targets - targets.mean()).square().sum()
    assert made.evaluate(net, "test", ["r2"])["r2"] == pytest.approx(float(1 - rest / whole), rel=1e-6)


def truths() -> list[Graph]:
    return [ring(n, target=n % 2 == 0) for n in range(3, 15)]


def bytes_of_nodes() -> list[Graph]:
    return [ring(n, node_targets=(np.arange(n) % 3).astype(np.uint8)) for n in range(3, 15)]


def short_of_pairs() -> list[Graph]:
    return [ring(n, links=[(0, 1), (0, 2)], link_targets=np.array([[0], [1]], dtype=np.int32)) for n in range(3, 15)]


@pytest.mark.parametrize(("name", "classes"), [("truths", 2), ("bytes_of_nodes", 3), ("short_of_pairs", 2)])
def test_classes_may_be_truths_and_whole_numbers_of_any_size(name: str, classes: int) -> None:
    made = task(data=f"{HERE}:{name}")
    made.prepare()
    assert made.classes == classes
    net = tiny(made)
    made.loss(net, next(made.batches(4, seed=0))).backward()
    assert 0 <= made.evaluate(net, "test", ["accuracy"])["accuracy"] <= 1  # type: ignore[operator]


def far_numbered() -> list[Graph]:
    return [ring(n, target=(0, 1, 9000)[n % 3]) for n in range(3, 33)]


def test_classes_that_are_not_numbered_from_0_are_refused() -> None:
    with pytest.raises(DataError, match="has 3 classes, numbered up to 9,000: number them from 0"):
        task(data=f"{HERE}:far_numbered").prepare()


def some_known(count: int, unknown: float, **of_each: int) -> list[Graph]:
    targets = np.full((60, *of_each.values()), unknown)
    targets[np.random.default_rng(1).permutation(60)[:count]] = np.arange(count).reshape(-1, *[1] * len(of_each)) % 2
    return [ring(60, node_targets=targets.astype(np.int64) if unknown == -1 else targets)]


def five_classes_known() -> list[Graph]:
    return some_known(5, -1)


def five_numbers_known() -> list[Graph]:
    return some_known(5, np.nan)


def five_rows_known() -> list[Graph]:
    return some_known(5, np.nan, columns=2)


def two_known() -> list[Graph]:
    return some_known(2, -1)


def five_pairs_known() -> list[Graph]:
    known = np.where(np.arange(60) % 12, -1, np.arange(60) // 12 % 2)
    return [ring(60, links=[(i, (i + 2) % 60) for i in range(60)], link_targets=known)]


@pytest.mark.parametrize("name", ["five_classes_known", "five_numbers_known", "five_rows_known", "five_pairs_known"])
def test_of_few_known_nodes_or_pairs_every_split_has_one(name: str) -> None:
    made = task(data=f"{HERE}:{name}")
    made.prepare()
    found = {split: made._targets(split) for split in SPLITS}
    known = {
        s: int((np.nan_to_num(rows.reshape(len(rows), -1), nan=-1) >= 0).all(1).sum()) for s, rows in found.items()
    }
    assert known == {"train": 3, "validation": 1, "test": 1}
    assert len(found["validation"]) == len(found["test"]) == 1
    net = tiny(made)
    for split in SPLITS:
        assert np.isfinite(made.evaluate(net, split, ["loss"])["loss"])


def test_a_graph_of_too_few_known_nodes_is_refused() -> None:
    with pytest.raises(DataError, match="2 nodes are known, too few to hold some out"):
        task(data=f"{HERE}:two_known").prepare()


def test_a_run_does_not_go_on_with_other_graphs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "edges.csv").write_text("graph,source,target\n" + "".join(f"g{i},0,1\ng{i},1,2\n" for i in range(40)))
    answers = ["graph,target", *(f"g{i},{i % 3}.5" for i in range(40))]
    (data / "graphs.csv").write_text("\n".join(answers))

    def train() -> None:
        here = task(data=str(data))
        config = here.adapt(GraphTransformer.Config(width=8, depth=1, heads=1))
        harness.fit(config, here, Training(steps=2, batch_size=4), folder=tmp_path / "run", show=False)

    train()
    train()  # a finished run is not made again
    (data / "graphs.csv").write_text("\n".join([*answers[:-1], "g39,7.5"]))
    with pytest.raises(CheckpointError, match="holds another run: it learned from other data"):
        train()
    (data / "graphs.csv").write_text("\n".join(f"{row},{'weight' if row == answers[0] else 1.0}" for row in answers))
    with pytest.raises(DataError, match=r"graphs.csv holds whole graphs, which have no features as 'weight'"):
        train()


def labelled(*labels: int | float | None) -> list[Graph]:
    return [ring(3 + i % 5, target=labels[i % len(labels)]) for i in range(60)]


def plus_and_minus() -> list[Graph]:
    return labelled(-1, 1)


def all_unknown() -> list[Graph]:
    return labelled(-1)


def below() -> list[Graph]:
    return labelled(-2, 0)


def partly() -> list[Graph]:
    return labelled(0, 1, -1)


def one_without() -> list[Graph]:
    return [*labelled(0, 1), replace(ring(4), name="lost")]


def alone() -> Graph:
    return ring(9, target=1.0)


def two_questions() -> list[Graph]:
    return [replace(graph, node_targets=np.zeros(graph.nodes)) for graph in labelled(0.5, 1.5)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plus_and_minus", "are -1, which stands for unknown ones, and 1; number them from 0"),
        ("all_unknown", "no class of .* is known: all are -1"),
        ("below", "numbered from 0, and one of .* is -2"),
        ("one_without", "a graph 'lost' of .* has no target, and others have"),
        ("alone", "is one graph, of which something is asked as a whole"),
        ("two_questions", "asks about each node and each graph: leave one of them"),
    ],
)
def test_what_cannot_be_learned_is_said_before_anything_is(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        task(data=f"{HERE}:{name}").prepare()


def test_how_many_classes_are_unknown_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    made = task(data=f"{HERE}:partly")
    made.prepare()
    assert made.classes == 2
    assert "of 60 graphs of" in (said := capsys.readouterr().err)
    assert "the class of 20 is not known" in said


def mixed_splits() -> dict[str, list[Graph]]:
    """Whole numbers in training by chance."""
    return {"train": labelled(1, 2), "validation": labelled(1.5), "test": labelled(2.5)}


def test_numbers_that_are_whole_in_training_alone_are_no_classes() -> None:
    made = task(data=f"{HERE}:mixed_splits")
    made.prepare()
    assert made.classes is None
    assert made.evaluate(tiny(made), "test", ["mae"])["mae"] > 0


def known_in_training_alone() -> dict[str, list[Graph]]:
    return {"train": labelled(0, 1), "validation": labelled(-1), "test": labelled(-1)}


def test_a_validation_of_which_nothing_is_known_is_refused() -> None:
    with pytest.raises(DataError, match="known in the validation split"):
        task(data=f"{HERE}:known_in_training_alone").prepare()


def masked(validation: bool) -> Graph:
    splits = np.repeat((0, 1 if validation else 0, 2, -1), 20)
    return ring(80, node_targets=np.arange(80) % 2, node_splits=splits)


def with_validation() -> Graph:
    return masked(True)


def without_validation() -> Graph:
    return masked(False)


def test_masks_without_validation_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    kept, drawn = (task(data=f"{HERE}:{name}") for name in ("with_validation", "without_validation"))
    kept.prepare()
    assert capsys.readouterr().err == ""
    assert [len(kept._targets(split)) for split in SPLITS] == [20, 20, 20]
    drawn.prepare()
    assert "keeps no nodes for validation: 4 of those to learn from are held out" in " ".join(
        capsys.readouterr().err.split()
    )
    assert [len(drawn._targets(split)) for split in SPLITS] == [36, 4, 20]


def several_with_masks() -> list[Graph]:
    return [masked(True) for _ in range(20)]


def test_of_several_graphs_masks_are_told_not_to_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    made = task(data=f"{HERE}:several_with_masks")
    assert len(made._targets("train")) == 16 * 80
    assert "20 graphs, held out as wholes; masks of their nodes are not looked at" in " ".join(
        capsys.readouterr().err.split()
    )


def same() -> list[Graph]:
    return labelled(1.5)


def test_of_a_target_that_is_always_the_same_nothing_is_explained() -> None:
    made = task(data=f"{HERE}:same")
    assert made.evaluate(tiny(made), "test", ["r2"])["r2"] == 0
    exact = replace_answers(made)
    assert made.evaluate(exact, "test", ["r2"])["r2"] == 1


def replace_answers(made: Graphs) -> GraphTransformer:
    """A model that always says what is asked, the mean of training."""
    net = tiny(made)
    torch.nn.init.zeros_(net.head.layers[-1].weight)  # type: ignore[arg-type]
    torch.nn.init.zeros_(net.head.layers[-1].bias)  # type: ignore[arg-type]
    return net


@pytest.mark.parametrize("model", [GraphTransformer.Config(width=16, depth=1, heads=2), MessagePassing.Config(depth=1)])
@pytest.mark.parametrize(
    "known",
    [{"node_types": [0, 1, 2]}, {"node_features": [0.5, 1, 2]}, {"edge_types": [1] * 3}, {"edge_features": [0.5] * 3}],
)
def test_what_a_model_would_not_read_is_refused(
    model: GraphTransformer.Config | MessagePassing.Config, known: dict[str, object]
) -> None:
    graphs = [ring(3, **known)] * 2
    with pytest.raises(DataError, match="of which the model reads none"):
        model.build()(**collate(graphs).inputs())
    fitting = model.replace(**asdict(widths(graphs)), outputs=3)
    assert fitting.build()(**collate(graphs).inputs()).shape == (2, 3)


def test_walks_are_made_for_models_that_read_them() -> None:
    plain = GraphTransformer.Config()
    made = Walks.read_by(plain)
    assert made is not None
    assert made.alike(Walks.read_by(plain.replace(width=32)))
    assert not made.alike(Walks.read_by(plain.replace(stem=plain.stem.replace(steps=5))))
    assert Walks.read_by(plain.replace(token="cls")) is Walks.read_by(MessagePassing.Config()) is None


def yes_or_no() -> list[Graph]:
    """Whether a ring is even, whether it is long, known of some"""
    sizes = [3 + i % 9 for i in range(90)]
    return [ring(n, target=[n % 2 == 0, n > 7 if i % 4 else np.nan]) for i, n in enumerate(sizes)]


def yes_or_no_of_nodes() -> list[Graph]:
    return [
        ring(60, node_types=np.arange(60) % 3, node_targets=np.where(np.arange(60) % 5, np.arange(60) % 3 == 1, -1))
    ]


def no_truths() -> list[Graph]:
    return labelled(0, 1, 2)


def test_several_truths_are_learned_each_by_itself() -> None:
    made = task(data=f"{HERE}:yes_or_no", objective="binary")
    made.prepare()
    assert (made.kind, made.classes, made.adapt(GraphTransformer.Config()).outputs) == ("truths", None, 2)  # type: ignore[attr-defined]
    net = fit(made, 100)
    names = ("loss", "accuracy", "rocauc", "average_precision")
    found = made.evaluate(net, "train", names)
    assert found["rocauc"] > 0.8  # type: ignore[operator]
    # By hand: of pairs of one that is true and one that is not, in how many the first is said to be likelier.
    graphs = made.graphs["train"]
    said = np.concatenate([net.eval()(**collate([graph]).inputs()).detach().numpy() for graph in graphs])
    asked = np.stack([graph.target for graph in graphs])  # type: ignore[arg-type]
    areas, losses, right = [], [], []
    for column in range(2):
        known = ~np.isnan(asked[:, column])
        true, score = asked[known, column], said[known, column]
        wins = np.sign(score[true == 1][:, None] - score[true == 0]) / 2 + 0.5
        areas.append(wins.mean())
        losses.append(np.logaddexp(0, np.where(true == 1, -score, score)))
        right.append((score > 0) == (true == 1))
    assert found["rocauc"] == pytest.approx(np.mean(areas), abs=1e-6)
    assert found["loss"] == pytest.approx(np.concatenate(losses).mean(), abs=1e-5)
    assert found["accuracy"] == pytest.approx(np.concatenate(right).mean())


def test_truths_of_nodes_may_be_unknown() -> None:
    made = task(data=f"{HERE}:yes_or_no_of_nodes", objective="binary")
    made.prepare()
    net = fit(made, 40)
    assert made.evaluate(net, "test", ["accuracy"])["accuracy"] >= 0.8  # type: ignore[operator]


def test_what_is_neither_true_nor_not_is_refused() -> None:
    with pytest.raises(DataError, match=r"asks for 0 or 1, and a target of .* is 2"):
        task(data=f"{HERE}:no_truths", objective="binary").prepare()


def always_true() -> list[Graph]:
    return labelled(1)


def test_of_what_is_always_true_there_is_no_order() -> None:
    made = task(data=f"{HERE}:always_true", objective="binary")
    made.prepare()
    found = made.evaluate(tiny(made), "test", ["rocauc", "accuracy"])
    assert np.isnan(found["rocauc"])  # type: ignore[arg-type]
