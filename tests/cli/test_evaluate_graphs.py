"""``formarium evaluate`` of a model of graphs on other data: measured as the model was asked."""

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formarium.tasks import Graphs
from formarium.tasks.graphs.graph import Graph, make_graph

Run = Callable[..., Any]
Answers = Callable[..., list[dict[str, str]]]
HERE = __name__
SMALL = ("-s", "steps=2", "-s", "model.width=8", "-s", "model.heads=2", "-s", "model.depth=1")
KEYS = {"graph": ("graph",), "node": ("graph", "node"), "pair": ("graph", "source", "target")}
TABLE = {"graph": "graphs", "node": "nodes", "pair": "links"}


def tables(folder: Path, level: str, asked: str, numbers: Iterable[int] = range(40)) -> Path:
    """Rings of three to seven atoms, of which something is asked that grows with their number."""
    rows: dict[str, list[dict[str, object]]] = {"edges": [], "nodes": [], "graphs": [], "links": []}

    def answer(kind: str, place: int) -> dict[str, object]:
        if kind != level:
            return {}
        return {asked: ("odd", "even", "big")[place % 3] if asked == "label" else place / 7}

    for number in numbers:
        size, graph = 3 + number % 5, {"graph": f"g{number}"}
        rows["graphs"].append({**graph, **answer("graph", number)})
        for i in range(size):
            ends = {**graph, "source": f"n{i}", "target": f"n{(i + 1) % size}"}
            rows["edges"].append({**ends, "type_bond": ("single", "double")[number % 2]})
            atom = {"type_atom": "ONC"[(i + number) % 3], "charge": i / 10}
            rows["nodes"].append({**graph, "node": f"n{i}", **atom, **answer("node", number + i)})
            rows["links"].append({**graph, "source": f"n{i}", "target": f"n{(i + 2) % size}"})
            rows["links"][-1] |= answer("pair", number + i)
    folder.mkdir(parents=True)
    for name in ("edges", "nodes", "graphs", *(["links"] if level == "pair" else [])):
        written(folder / f"{name}.csv", rows[name])
    return folder


def written(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def turned(folder: Path) -> Path:
    """The columns of all tables in the opposite order."""
    for path in folder.glob("*.csv"):
        written(path, [dict(reversed(row.items())) for row in read(path)])
    return folder


def replaced(folder: Path, name: str, old: str, new: str) -> Path:
    path = folder / f"{name}.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return folder


def trained(run: Run, folder: Path, data: object) -> Path:
    done = run("train", "graphs", "--out", folder, "-s", f"task.data={data}", *SMALL)
    assert done.status == 0, done
    return folder


def measured(run: Run, model: Path, data: object, *arguments: object) -> dict[str, float]:
    done = run("evaluate", model, "-s", f"data={data}", "--json", *arguments)
    assert done.status == 0, done
    found: dict[str, float] = json.loads(done.out)
    return found


@pytest.mark.parametrize("asked", ["label", "target_heat"])
@pytest.mark.parametrize("level", ["graph", "node", "pair"])
def test_other_data_are_measured_as_they_are_answered(
    run: Run, answers: Answers, tmp_path: Path, level: str, asked: str
) -> None:
    model = trained(run, tmp_path / "model", tables(tmp_path / "data", level, asked))
    numbers = range(0, 30, 2 if level == "graph" else 6)  # single bonds alone; of graphs, all classes
    other = turned(tables(tmp_path / "other", level, asked, numbers))
    said = answers(model, other, *(["--probabilities"] if asked == "label" else []))
    truth = read(other / f"{TABLE[level]}.csv")
    assert [[row[k] for k in KEYS[level]] for row in said] == [[row[k] for k in KEYS[level]] for row in truth]
    task: Graphs = Graphs.Config(data=str(other)).build()
    for split in ("validation", "test"):
        names = {graph.name for graph in task.graphs[split]}
        both = [(row, true) for row, true in zip(said, truth, strict=True) if row["graph"] in names]
        found = measured(run, model, other, "--split", split)
        if asked == "label":
            assert set(found) == {"loss", "accuracy", "macro_f1"}
            assert found["accuracy"] == pytest.approx(np.mean([row["answer"] == true["label"] for row, true in both]))
            shares = [float(row[f"probability_{true['label']}"]) for row, true in both]
            assert found["loss"] == pytest.approx(-np.log(shares).mean(), abs=1e-5)
        else:
            errors = np.array([float(row[asked]) - float(true[asked]) for row, true in both])
            assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
            assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-4)


def test_some_of_the_same_rows_are_measured_as_among_all(run: Run, tmp_path: Path) -> None:
    """Whatever is left out, the loss of a graph stays what it was in units of the training."""
    data = tables(tmp_path / "data", "graph", "target_heat")
    model = trained(run, tmp_path / "model", data)
    task: Graphs = Graphs.Config(data=str(data)).build()
    spread = float(np.std([float(graph.target) for graph in task.graphs["train"]]))  # type: ignore[arg-type]
    found = measured(run, model, tables(tmp_path / "other", "graph", "target_heat", range(1, 40, 2)))
    assert found["loss"] == pytest.approx(found["mae"] / spread, rel=1e-4)


def test_the_data_of_the_training_are_measured_as_ever(run: Run, tmp_path: Path) -> None:
    data = tables(tmp_path / "data", "node", "target_heat")
    model = trained(run, tmp_path / "model", data)
    found = measured(run, model, data)
    (model / "graphs.json").unlink()  # as beside models of before
    assert measured(run, model, data) == pytest.approx(found, rel=1e-6)


def test_fewer_classes_keep_their_names(run: Run, answers: Answers, tmp_path: Path) -> None:
    model = trained(run, tmp_path / "model", tables(tmp_path / "data", "graph", "label"))
    odd = tables(tmp_path / "odd", "graph", "label", range(0, 40, 3))
    assert {row["label"] for row in read(odd / "graphs.csv")} == {"odd"}
    task: Graphs = Graphs.Config(data=str(odd)).build()
    names = {graph.name for graph in task.graphs["validation"]}
    shares = [float(row["probability_odd"]) for row in answers(model, odd, "--probabilities") if row["graph"] in names]
    found = measured(run, model, odd, "--metric", "loss")
    assert found == {"loss": pytest.approx(-np.log(shares).mean(), abs=1e-5)}


def test_tables_that_do_not_fit_the_training_are_refused(run: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    model = trained(run, tmp_path / "model", tables(tmp_path / "data", "graph", "label"))

    def said(data: object) -> str:
        return refused("evaluate", model, "-s", f"data={data}")

    words = replaced(tables(tmp_path / "words", "graph", "label"), "nodes", ",C,", ",Si,")
    assert "training knew no 'Si' in the column 'type_atom'" in said(words)
    classes = replaced(tables(tmp_path / "classes", "graph", "label"), "graphs", ",big", ",bigger")
    assert "training knew no 'bigger' in the column 'label'; did you mean 'big'?" in said(classes)
    more = replaced(tables(tmp_path / "more", "graph", "label"), "nodes", "charge", "mass")
    assert "lacks the column 'charge', which training had" in said(more)
    kinds = tables(tmp_path / "kinds", "graph", "target_heat")
    assert "graphs.csv lacks the column 'label', which training had" in said(kinds)
    level = tables(tmp_path / "level", "node", "label")
    assert "which training did not have" in said(level)
    assert "in training" in said("atlas")
    numbered = tables(tmp_path / "numbered", "graph", "label")
    for place, word in enumerate(("odd", "even", "big")):
        replaced(numbered, "graphs", f",{word}", f",{place}")
    assert "training knew no '0' in the column 'label'" in said(numbered)


def ring(nodes: int, **asked: Any) -> Graph:
    return make_graph(nodes, [(i, (i + 1) % nodes) for i in range(nodes)], **asked)


def numbers() -> list[Graph]:
    return [ring(n, target=n / 3) for n in range(3, 15)]


def more_numbers() -> list[Graph]:
    return [ring(n, target=10 * n + 0.5) for n in range(5, 17)]


def two_numbers() -> list[Graph]:
    return [ring(n, target=[n / 3, 1.5]) for n in range(3, 15)]


def numbers_of_nodes() -> list[Graph]:
    return [ring(n, node_targets=np.arange(n) / n) for n in range(3, 15)]


def classes() -> list[Graph]:
    return [ring(n, target=n % 3) for n in range(3, 15)]


def fewer_classes() -> list[Graph]:
    return [ring(n, target=n % 2) for n in range(3, 15)]


def more_classes() -> list[Graph]:
    return [ring(n, target=n % 5) for n in range(3, 33)]


def atoms() -> list[Graph]:
    return [ring(n, node_types=np.arange(n) % 4, target=n / 3) for n in range(3, 15)]


def test_what_was_asked_otherwise_is_refused(run: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    model = trained(run, tmp_path / "model", f"{HERE}:numbers")

    def said(name: object) -> str:
        return refused("evaluate", model, "-s", f"data={name}")

    asked = "the model was asked for 1 numbers of each graph, and "
    assert f"{asked}'{HERE}:numbers_of_nodes' asks for 1 numbers of each node" in said(f"{HERE}:numbers_of_nodes")
    assert f"{asked}'{HERE}:classes' asks for 1 classes of each graph" in said(f"{HERE}:classes")
    assert f"{asked}'{HERE}:two_numbers' asks for 2 numbers of each graph" in said(f"{HERE}:two_numbers")
    assert "nodes had 0 categories in training, and have 1" in said(f"{HERE}:atoms")
    assert "write their numbers" in said(tables(tmp_path / "data", "graph", "target_heat"))
    found = measured(run, model, f"{HERE}:more_numbers")
    assert found["mae"] > 40  # in units of the training, and around its mean, answers stay far below


def test_more_classes_than_training_knew_are_refused(run: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    model = trained(run, tmp_path / "model", f"{HERE}:classes")
    assert "has a class 4; training knew 0 to 2" in refused("evaluate", model, "-s", f"data={HERE}:more_classes")
    assert "was asked for 1 classes of each graph" in refused("evaluate", model, "-s", f"data={HERE}:numbers")
    assert 0 <= measured(run, model, f"{HERE}:fewer_classes")["accuracy"] <= 1
