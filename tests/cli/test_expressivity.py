"""``formarium expressivity``."""

import json
from pathlib import Path

import networkx as nx
import pytest
import typer
from typer.testing import CliRunner

from formarium.cli.expressivity import expressivity
from formarium.errors import DataError

app = typer.Typer()
app.command()(expressivity)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    triangles = nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    made = {
        "cycle": (nx.write_graph6, "cycle.g6", nx.cycle_graph(6)),
        "triangles": (nx.write_graphml, "triangles.graphml", triangles),
        "again": (nx.write_gml, "again.gml", nx.relabel_nodes(nx.cycle_graph(6), {0: 3, 3: 0})),
        "arrows": (nx.write_graphml, "arrows.graphml", nx.cycle_graph(6, create_using=nx.DiGraph)),
        "neighbours": (nx.write_adjlist, "neighbours.adjlist", nx.cycle_graph(6)),
        "path": (nx.write_edgelist, "path.txt", nx.path_graph(4)),
    }
    for write, name, graph in made.values():
        write(graph, tmp_path / name)
    return {key: str(tmp_path / name) for key, (_, name, _) in made.items()}


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_says_which_tests_tell_them_apart(files: dict[str, str]) -> None:
    found = json.loads(run(files["cycle"], files["triangles"], "--json"))
    rounds = {row["test"]: row["round"] for row in found["tests"]}
    assert rounds == {"1-WL": None, "distances": 1, "walks": 1, "3-WL": 2}
    assert found["isomorphic"] is False
    text = run(files["cycle"], files["triangles"])
    assert "not isomorphic" in text
    assert "6 nodes, 6 edges" in text


def test_knows_the_same_graph_in_another_order_and_format(files: dict[str, str]) -> None:
    found = json.loads(run(files["cycle"], files["again"], "--json", "--seconds", "60"))
    assert found["isomorphic"] is True
    assert all(row["round"] is None for row in found["tests"])


def test_lists_of_neighbours_are_read_as_networkx_writes_them(files: dict[str, str]) -> None:
    found = json.loads(run(files["neighbours"], files["cycle"], "--json"))
    assert (found["first"]["nodes"], found["first"]["edges"], found["isomorphic"]) == (6, 6, True)


def test_a_loop_is_told_by_every_test(files: dict[str, str], tmp_path: Path) -> None:
    looped = nx.path_graph(4)
    looped.add_edge(1, 1)
    nx.write_edgelist(looped, tmp_path / "looped.txt")
    found = json.loads(run(str(tmp_path / "looped.txt"), files["path"], "--json"))
    assert found["isomorphic"] is False
    assert all(row["round"] for row in found["tests"])


def test_says_what_is_left_out_and_counts_nodes(files: dict[str, str]) -> None:
    text = run(files["arrows"], files["path"])
    assert "directions left out" in text.replace("\n", " ")
    found = json.loads(run(files["arrows"], files["path"], "--json"))
    assert {row["round"] for row in found["tests"]} == {0}


def test_a_bad_file_is_answered_in_a_sentence(files: dict[str, str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.g6"
    bad.write_text("!!!")
    with pytest.raises(DataError, match="not a readable g6 file"):
        run(str(bad), files["cycle"])
    large = tmp_path / "large.txt"
    large.write_text("\n".join(f"{i} {i + 1}" for i in range(1200)))
    with pytest.raises(DataError, match="up to 1,000 nodes"):
        run(files["cycle"], str(large))


@pytest.mark.parametrize(
    "text",
    [
        "0 1\n1 2\n2 3\n",
        "source,target\n0,1\n1,2\n2,3\n",
        "graph,source,target\na,0,1\na,1,2\na,2,3\n",
        "target;weight;source\n1;0.5;0\n2;0.5;1\n3;0.5;2\n",
        "id1,id2\n0,1\n1,2\n2,3\n",
        "# a path\n0 1 2.5\n1 2 1\n2 3 0\n",
    ],
)
def test_edges_under_any_header_are_read(files: dict[str, str], tmp_path: Path, text: str) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text)
    found = json.loads(run(str(path), files["path"], "--json"))
    assert (found["first"]["nodes"], found["first"]["edges"], found["isomorphic"]) == (4, 3, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph,source,target\na,0,1\nb,1,2\n", "several graphs"),
        ("0 1 5\n1 2\n2 3\n", "line 2, has 2 entries, and others 3"),
        ("0 1\n1 2\n2 3 4\n", "line 3, has 3 entries, and others 2"),
        ("0 1 is_a\n1 2 is_a\n", "their weight, not 'is_a'"),
    ],
)
def test_what_is_no_list_of_edges_is_refused(files: dict[str, str], tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        run(str(path), files["path"])
