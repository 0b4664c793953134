"""``formarium predict``: answers about other data, read as those that the model learned from."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formarium.models import load
from formarium.tasks import Graphs
from formarium.tasks.task import SPLITS

Run = Callable[..., Any]
Answers = Callable[..., list[dict[str, str]]]
SMALL = ("-s", "steps=2", "-s", "model.width=8", "-s", "model.heads=2", "-s", "model.depth=1")


def tables(folder: Path, level: str, asked: str, numbers: range = range(40)) -> Path:
    """Rings of three to seven atoms; ``asked``, a column of the table of that level, or nothing."""
    edges, nodes, graphs, links = ["graph,source,target,type_bond"], ["graph,node,type_atom,charge"], ["graph"], [""]
    links = ["graph,source,target"]
    rows = {"graph": graphs, "node": nodes, "pair": links}
    rows[level][0] += f",{asked}" if asked else ""

    def answer(kind: str, place: int) -> str:
        if kind != level or not asked:
            return ""
        return f",{('odd', 'even')[place % 2]}" if asked == "label" else f",{place / 7}"

    for number in numbers:
        size = 3 + number % 5
        graphs.append(f"g{number}{answer('graph', size)}")
        for i in range(size):
            edges.append(f"g{number},n{i},n{(i + 1) % size},{('single', 'double')[number % 2]}")
            nodes.append(f"g{number},n{i},{'ONC'[(i + number) % 3]},{i / 10}{answer('node', i)}")
            links.append(f"g{number},n{i},n{(i + 2) % size}{answer('pair', i + size)}")
    folder.mkdir(parents=True)
    written = {"edges": edges, "nodes": nodes, "graphs": graphs} | ({"links": links} if level == "pair" else {})
    for name, lines in written.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("asked", ["label", "target_heat"])
@pytest.mark.parametrize("level", ["graph", "node", "pair"])
def test_answers_are_those_that_are_measured(
    run: Run, answers: Answers, tmp_path: Path, level: str, asked: str
) -> None:
    """What is worked out of the printed answers is what ``evaluate`` measures."""
    data = tables(tmp_path / "data", level, asked)
    assert run("train", "graphs", "--out", tmp_path / "model", "-s", f"task.data={data}", *SMALL).status == 0
    found = answers(tmp_path / "model", data)
    task: Graphs = Graphs.Config(data=str(data)).build()
    keys = {"graph": ("graph",), "node": ("graph", "node"), "pair": ("graph", "source", "target")}[level]
    assert list(found[0]) == [*keys, *(("answer", "probability") if asked == "label" else (asked,))]
    table = {"graph": "graphs", "node": "nodes", "pair": "links"}[level]
    truth = list(csv.DictReader((data / f"{table}.csv").open()))
    assert [[row[k] for k in keys] for row in found] == [[row[k] for k in keys] for row in truth]
    test = {graph.name for graph in task.graphs["test"]}
    both = [(row, true) for row, true in zip(found, truth, strict=True) if row["graph"] in test]
    measured = task.evaluate(load(tmp_path / "model"), "test", ["accuracy" if asked == "label" else "mae"])
    if asked == "label":
        assert measured["accuracy"] == pytest.approx(np.mean([row["answer"] == true["label"] for row, true in both]))
    else:
        errors = [abs(float(row[asked]) - float(true[asked])) for row, true in both]
        assert measured["mae"] == pytest.approx(np.mean(errors), rel=1e-4)


def test_words_mean_what_they_meant_in_training(run: Run, answers: Answers, tmp_path: Path) -> None:
    """One graph alone, which has not all the words and columns in another order, is answered as among all."""
    data = tables(tmp_path / "data", "graph", "label")
    assert run("train", "graphs", "--out", tmp_path / "model", "-s", f"task.data={data}", *SMALL).status == 0
    among_all = answers(tmp_path / "model", data, "--probabilities")
    alone = tables(tmp_path / "alone", "graph", "", range(7, 8))  # double bonds alone
    rows = [line.split(",") for line in (alone / "nodes.csv").read_text().splitlines()]
    (alone / "nodes.csv").write_text("\n".join(",".join(row[i] for i in (3, 1, 2, 0)) for row in rows) + "\n")
    (one,) = answers(tmp_path / "model", alone, "--probabilities")
    want = among_all[7]
    assert one["answer"] == want["answer"]
    for name in ("probability", "probability_even", "probability_odd"):
        assert float(one[name]) == pytest.approx(float(want[name]), abs=2e-6)
    assert float(one["probability_even"]) + float(one["probability_odd"]) == pytest.approx(1, abs=2e-6)
    out = tmp_path / "out.json"
    assert run("predict", tmp_path / "model", alone, "--json", "--out", out).status == 0
    assert json.loads(out.read_text())[0]["answer"] == want["answer"]


def test_a_run_does_not_go_on_where_words_mean_something_else(
    run: Run, refused: Callable[..., str], tmp_path: Path
) -> None:
    data = tables(tmp_path / "data", "graph", "label")
    command = ("train", "graphs", "--out", tmp_path / "model", "-s", f"task.data={data}", *SMALL)
    assert run(*command).status == run(*command).status == 0
    edges = data / "edges.csv"
    edges.write_text(edges.read_text().replace("single", "aromatic"))
    assert "holds another run: it learned from other data" in refused(*command)


def test_the_rest_of_one_graph_is_filled_in(run: Run, answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text("source,target\n" + "".join(f"p{i},p{(i + 1) % 30}\n" for i in range(30)))
    known = "".join(f"p{i},{i / 30},{'nan' if i % 3 else i}\n" for i in range(30))
    (tmp_path / "nodes.csv").write_text(f"node,x,target\n{known}")
    data = f"task.data={tmp_path / 'edges.csv'}"
    assert run("train", "graphs", "--out", tmp_path / "model", "-s", data, *SMALL).status == 0
    found = answers(tmp_path / "model", tmp_path / "edges.csv")
    assert [row["node"] for row in found] == [f"p{i}" for i in range(30)]
    assert all(np.isfinite(float(row["target"])) for row in found)


def test_graphs_of_other_kinds(run: Run, answers: Answers, refused: Callable[..., str], tmp_path: Path) -> None:
    data = ("-s", "task.data=multisets", "--model", "MessagePassing")
    assert run("train", "graphs", "--out", tmp_path / "model", *data, "-s", "steps=2").status == 0
    task: Graphs = Graphs.Config(data="multisets").build()
    every = answers(tmp_path / "model", "multisets")
    assert len(every) == sum(len(task.graphs[split]) for split in SPLITS)
    assert {row["answer"] for row in every} <= {str(number) for number in range(task.classes or 0)}
    data = tables(tmp_path / "data", "graph", "")
    assert "'type_bond' of" in refused("predict", tmp_path / "model", data)
    for name in ("edges", "nodes"):
        text = (data / f"{name}.csv").read_text()
        for number, word in enumerate(("single", "double", "O,", "N,", "C,")):
            text = text.replace(word, f"{number}{word[1:] if word.endswith(',') else ''}")
        (data / f"{name}.csv").write_text(text)
    assert "has a category 4 of nodes; training knew 0 to 2" in refused("predict", tmp_path / "model", data)
    assert "nodes had 1 categories in training, and have 0" in refused("predict", tmp_path / "model", "atlas")


def test_pictures(run: Run, answers: Answers, refused: Callable[..., str], tmp_path: Path) -> None:
    from PIL import Image

    random = np.random.default_rng(0)
    for place, name in enumerate(("dark", "light")):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for number in range(8):
            pixels = (200 * place + random.integers(0, 40, (20, 24 + number, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    pictures, model = tmp_path / "pictures", tmp_path / "model"
    assert (
        run("train", "images", "--out", model, "-s", f"task.data={pictures}", "-s", "task.size=16", *SMALL).status == 0
    )
    found = answers(model, pictures, "--probabilities")
    assert [Path(row["file"]).name for row in found] == 2 * [f"{number}.png" for number in range(8)]
    for row in found:
        shares = [float(row[f"probability_{name}"]) for name in ("dark", "light")]
        assert sum(shares) == pytest.approx(1, abs=2e-6)
        assert row["answer"] == ("dark", "light")[int(np.argmax(shares))]
        assert float(row["probability"]) == max(shares)
    (alone,) = answers(model, pictures / "light" / "3.png")
    assert alone["answer"] == found[11]["answer"]
    assert float(alone["probability"]) == pytest.approx(float(found[11]["probability"]), abs=2e-6)
    assert run("evaluate", model, "-s", f"data={pictures}").status == 0
    (pictures / "light").rename(pictures / "pale")
    assert "class 1 of the model is 'light', and" in refused("evaluate", model)
    (pictures / "pale").rename(pictures / "light")
    assert "there is no picture" in refused("predict", model, tmp_path / "nowhere.png")
    (tmp_path / "empty").mkdir()
    assert "there are no pictures in" in refused("predict", model, tmp_path / "empty")
    (tmp_path / "text.png").write_text("no picture")
    assert "is not a readable image" in refused("predict", model, tmp_path / "text.png")
    (model / "images.json").write_text('{"classes": 3}')
    assert "is damaged or of another version" in refused("predict", model, pictures)


def test_what_cannot_be_answered(run: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    data, model = tables(tmp_path / "data", "pair", "label"), tmp_path / "model"
    assert run("train", "graphs", "--out", model, "-s", f"task.data={data}", *SMALL).status == 0
    assert "names none (in tables: links.csv)" in refused("predict", model, tables(tmp_path / "a", "graph", ""))
    other = tables(tmp_path / "b", "pair", "")
    nodes = other / "nodes.csv"
    nodes.write_text(nodes.read_text().replace(",C,", ",Si,", 1))
    assert "training knew no 'Si' in the column 'type_atom'" in refused("predict", model, other)
    nodes.write_text(nodes.read_text().replace("charge", "mass"))
    assert "lacks the column 'charge', which training had" in refused("predict", model, other)
    nodes.unlink()
    assert "lacks the column 'type_atom', which training had" in refused("predict", model, other)
    assert "no such file or folder" in refused("predict", model, "nothing")
    out = tmp_path / "answers.csv"
    assert "lacks the column" in refused("predict", model, other, "--out", out)
    assert not out.exists()
    (model / "graphs.json").write_text("{}")
    assert "graphs.json is damaged or of another version" in refused("predict", model, data)
    (model / "graphs.json").unlink()
    assert "there is no account of what a model of graphs was asked" in refused("predict", model, data)
    assert "there is no model at" in refused("predict", tmp_path, data)


def test_models_that_answer_in_another_way_say_how(run: Run, refused: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(f"{i}: the fox jumps over the lazy dog. " for i in range(300)))
    task = ("-s", f"task.corpus={tmp_path / 'text.txt'}", "-s", "task.context=16", "-s", "task.tokenizer=bytes")
    assert run("train", "language", "--out", tmp_path / "model", *task, *SMALL).status == 0
    assert "'formarium generate' does" in refused("predict", tmp_path / "model", "some text")


def test_what_is_true_or_not_is_answered_by_its_probability(run: Run, answers: Answers, tmp_path: Path) -> None:
    data = tables(tmp_path / "data", "graph", "target_even")
    rows = (data / "graphs.csv").read_text().splitlines()
    (data / "graphs.csv").write_text(
        "\n".join([rows[0], *(f"{r.split(',')[0]},{i % 2}" for i, r in enumerate(rows[1:]))])
    )
    settings = ("-s", f"task.data={data}", "-s", "task.objective=binary")
    assert run("train", "graphs", "--out", tmp_path / "model", *settings, *SMALL).status == 0
    found = answers(tmp_path / "model", data)
    assert list(found[0]) == ["graph", "target_even"]
    said = np.array([float(row["target_even"]) for row in found])
    assert ((said > 0) & (said < 1)).all()
    done = run("evaluate", tmp_path / "model", "--json", "--split", "train")
    measured = json.loads(done.out)
    assert list(measured) == ["loss", "accuracy", "rocauc", "average_precision"]
    task: Graphs = Graphs.Config(data=str(data), objective="binary").build()
    asked = {graph.name: float(graph.target) for graph in task.graphs["train"]}  # type: ignore[arg-type]
    right = [
        (p > 0.5) == (asked[row["graph"]] == 1) for p, row in zip(said, found, strict=True) if row["graph"] in asked
    ]
    assert measured["accuracy"] == pytest.approx(np.mean(right), abs=1e-5)
