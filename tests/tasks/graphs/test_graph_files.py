"""Graphs from files, good and bad."""

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from formarium.errors import DataError
from formarium.tasks.graphs.files import read_graph, read_graphs
from formarium.tasks.graphs.sources import load, to_answer
from formarium.tasks.graphs.tables import Tables, open_tables, read_tables


@pytest.mark.parametrize("kind", ["graphml", "gml", "g6", "s6", "json", "edgelist", "csv", "adjlist"])
def test_every_format_gives_the_graph_back(kind: str, tmp_path: Path) -> None:
    graph, path = nx.petersen_graph(), tmp_path / f"graph.{kind}"
    write = {
        "graphml": nx.write_graphml,
        "gml": nx.write_gml,
        "g6": nx.write_graph6,
        "s6": nx.write_sparse6,
        "json": lambda g, p: p.write_text(json.dumps(nx.node_link_data(g, edges="edges"))),
        "edgelist": lambda g, p: nx.write_edgelist(g, p, data=["weight"]),
        "adjlist": nx.write_adjlist,
        "csv": lambda g, p: p.write_text("source,target\n" + "\n".join(f"{a},{b}" for a, b in g.edges)),
    }
    write[kind](graph, path)
    assert nx.is_isomorphic(read_graph(path), graph)


def test_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "graph.json"
    path.write_text("[[0, 1], [1, 2]]")
    assert read_graph(path).number_of_nodes() == 3
    path.write_text('{"nodes": 5, "edges": [[0, 1]]}')
    assert read_graph(path).number_of_nodes() == 5
    # As D3 has it: ends are places in the list, where nodes are not numbered themselves.
    path.write_text('{"nodes": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "links": [{"source": 0, "target": 1}]}')
    assert set(read_graph(path).edges) == {("a", "b")}
    path.write_text('{"nodes": [{"name": "a"}, {"name": "b"}], "links": [{"source": 0, "target": 1}]}')
    assert set(read_graph(path).edges) == {(0, 1)}
    path.write_text('{"directed": true, "multigraph": true, "nodes": 2, "edges": [[0, 1], [1, 0], [0, 1]]}')
    found = read_graph(path)
    assert (found.is_directed(), found.is_multigraph(), found.number_of_edges()) == (True, True, 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.graphml", "<graphml", "not a readable graphml file"),
        ("a.gml", "graph [ node [", "not a readable gml file"),
        ("a.g6", "!!!", "not a readable g6 file"),
        ("a.g6", "A_\nA_\n", "holds 2 graphs"),
        ("a.json", "{", "not a readable json file"),
        ("a.json", '{"nodes": 3}', "no list of edges"),
        ("a.json", "[[1]]", "not an edge between two nodes"),
        ("a.json", '{"nodes": 5, "edges": [["0", "1"]]}', "an edge ends at '0', which is not among the nodes"),
        ("a.json", '{"nodes": 3, "edges": [[0, 3]]}', "an edge ends at 3, which is not among the nodes"),
        ("a.json", '{"nodes": ["a", "a"], "edges": [["a", "a"]]}', "names a node twice"),
        ("a.json", '{"nodes": -3, "edges": []}', "nodes are a list, or how many there are, not -3"),
        ("a.json", '{"nodes": "abc", "edges": []}', "nodes are a list, or how many there are, not 'abc'"),
        ("a.json", '{"nodes": true, "edges": []}', "nodes are a list, or how many there are, not True"),
        ("a.json", '{"nodes": 1000000000000, "edges": []}', "graphs of up to 32768 are read"),
        ("a.g6", "~~?????", "not a readable g6 file"),
        ("a.g6", "~~~~~~~~", "it has 68719476735 nodes; graphs of up to 32768 are read"),
        ("a.s6", ":~~~~~~~~", "it has 68719476735 nodes; graphs of up to 32768 are read"),
        ("a.json", "[]", "a graph without nodes"),
        ("a.txt", "1 2 3 4 5", "line 1, is not an edge"),
        ("a.txt", "0 1 5\n1 2\n2 3\n", r"line 2, has 2 entries, and others 3: .*\.adjlist"),
        ("a.txt", "0 1\n1 2 3\n", "line 2, has 3 entries, and others 2"),
        ("a.txt", "# only words about it", "a graph without nodes"),
        ("a.edges", "\udcff", "not a readable list of edges"),
    ],
)
def test_a_bad_file_is_answered_in_a_sentence(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message) as caught:
        read_graph(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="there is no file"):
        read_graph(tmp_path / "missing.g6")


EDGES = "graph,source,target,type,length\na,1,2,single,1.5\na,2,3,double,1.3\nb,x,y,single,1.4\n"
NODES = "graph,node,type_element,charge\na,1,C,0.1\na,2,N,0.2\na,3,C,0.3\nb,x,O,0.4\nb,y,C,0.5\nc,lone,C,0.6\n"
GRAPHS = "graph,target\na,0.5\nb,1.5\nc,2.5\n"


def tables(folder: Path, **files: str) -> Tables:
    return open_tables(written(folder, **files))


def test_tables_of_many_graphs(tmp_path: Path) -> None:
    made = read_tables(tables(tmp_path, edges=EDGES, nodes=NODES, graphs=GRAPHS))
    assert [(g.name, g.nodes, len(g.edges), float(g.target)) for g in made] == [  # type: ignore[arg-type]
        ("a", 3, 4, 0.5),
        ("b", 2, 2, 1.5),
        ("c", 1, 0, 2.5),
    ]
    assert made[0].node_types is not None
    assert made[0].node_types[:, 0].tolist() == [0, 1, 0]  # C, N, O in the order of the alphabet
    assert made[0].edge_types is not None
    assert made[0].edge_types[:, 0].tolist() == [1, 1, 0, 0]
    assert made[0].edge_features is not None
    assert np.allclose(made[0].edge_features[:, 0], [1.5, 1.5, 1.3, 1.3])


def test_one_graph_of_edges_alone_and_labels_of_nodes(tmp_path: Path) -> None:
    (graph,) = read_tables(tables(tmp_path, edges="source,target\na,b\nb,c\nc,c\n"))
    assert (graph.nodes, len(graph.edges)) == (3, 5)
    (graph,) = read_tables(tables(tmp_path, nodes="node,label\na,cat\nb,dog\nc,cat\nd,dog\n"))
    assert graph.nodes == 4
    assert graph.node_targets is not None
    assert graph.node_targets.tolist() == [0, 1, 0, 1]
    assert np.issubdtype(graph.node_targets.dtype, np.integer)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"edges": "from,to\n1,2\n"}, "has no column 'source'; it has from, to"),
        ({"edges": "source,target\n"}, "holds no rows"),
        ({"edges": "source,target\n1\n"}, "line 2, has not as many entries"),
        ({"edges": EDGES, "nodes": NODES.replace("a,3,C,0.3\n", "")}, "joins the node '3'"),
        ({"edges": EDGES, "nodes": NODES, "graphs": GRAPHS.replace("b,1.5\n", "")}, "says nothing of the graph 'b'"),
        ({"edges": EDGES, "nodes": NODES, "graphs": GRAPHS + "b,2.0\n"}, "names the graph 'b' twice"),
        ({"edges": EDGES, "nodes": NODES + "b,y,C,0.5\n"}, "names the node 'y' of the graph 'b' twice"),
        ({"edges": EDGES, "nodes": NODES.replace("c,lone", "c,")}, "line 7, names no node"),
        ({"edges": EDGES.replace("a,2,3", "a,,3")}, "line 3, names no source"),
        ({"edges": EDGES.replace("type", "length")}, "has the column 'length' twice"),
        (
            {"edges": EDGES, "nodes": NODES, "graphs": GRAPHS.replace("1.5", "inf")},
            "line 3: 'inf' in the column 'target'",
        ),
        ({"edges": EDGES, "links": "graph,source,target\na,1,2\n"}, "links without targets"),
        ({"edges": EDGES, "links": "source,target,label\n1,2,0\n"}, "has no column 'graph'"),
        ({"edges": EDGES, "links": "graph,source,target,label\nz,1,2,0\n"}, "asks about the graph 'z'"),
        ({"edges": EDGES, "links": "graph,source,target,label\na,1,9,0\n"}, "asks about the node '9'"),
        ({"edges": EDGES, "links": "graph,source,target,label,far\na,1,2,0,0.5\n"}, "no features as 'far'"),
        ({"edges": EDGES.replace("1.3", "long")}, "line 3: 'long' in the column 'length' is no number"),
        ({"edges": EDGES, "nodes": NODES.replace("type_element", "label").replace("charge", "target")}, "both a label"),
    ],
)
def test_tables_that_do_not_fit_are_answered_in_a_sentence(files: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_tables(tables(tmp_path, **files))


def test_pairs_that_are_asked_about(tmp_path: Path) -> None:
    asked = "graph,source,target,target_far\na,3,1,2.0\nb,x,y,1\na,1,1,nan\n"
    one, two, lone = read_tables(tables(tmp_path, edges=EDGES, nodes=NODES, links=asked))
    assert (one.links is not None, two.links is not None, lone.links is not None) == (True, True, True)
    assert [graph.links.tolist() for graph in (one, two, lone)] == [[[2, 0], [0, 0]], [[0, 1]], []]  # type: ignore[union-attr]
    assert one.link_targets is not None
    assert one.link_targets.tolist()[0] == 2.0
    assert np.isnan(one.link_targets[1])
    assert lone.link_targets is not None
    assert len(lone.link_targets) == 0


SQUARE = "source,target\n0,1\n1,2\n2,3\n3,0\n"


def written(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content)
    return folder


def test_tables_say_what_each_graph_is_for(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    uses = ["test", "train", "Val", "", "training"]
    graphs = "graph,target,split\n" + "".join(
        f"{n},{i},{s}\n" for i, (n, s) in enumerate(zip(names, uses, strict=True))
    )
    edges = "graph,source,target\n" + "".join(f"{n},0,1\n" for n in names)
    found = load(str(written(tmp_path, edges=edges, graphs=graphs)), None, 0.1)
    assert {split: [g.name for g in own] for split, own in found.items()} == {
        "train": ["b", "e"],
        "validation": ["c"],
        "test": ["a"],
    }
    # To be answered about are all, in the order of the table.
    assert [graph.name for graph in to_answer(str(tmp_path), None)] == names
    written(tmp_path, graphs=graphs.replace("Val", "vall"))
    with pytest.raises(DataError, match=r"line 4: a split is train, validation, test or empty, not 'vall'"):
        load(str(tmp_path), None, 0.1)
    written(tmp_path, graphs=graphs.replace("Val", "train"))
    with pytest.raises(DataError, match="has the splits train, test; they are train, validation, test, or none"):
        load(str(tmp_path), None, 0.1)


def test_tables_say_what_each_node_is_for(tmp_path: Path) -> None:
    nodes = "node,label,split\n0,x,train\n1,y,validation\n2,x,test\n3,y,\n"
    graph = load(str(written(tmp_path, edges=SQUARE, nodes=nodes)), None, 0.1)["train"][0]
    assert graph.node_splits is not None
    assert graph.node_splits.tolist() == [0, 1, 2, -1]
    assert graph.node_features is None
    edges = "graph,source,target\na,0,1\nb,0,1\n"
    nodes = "graph,node,label,split\n" + "".join(f"{g},{n},x,train\n" for g in "ab" for n in (0, 1))
    with pytest.raises(DataError, match=r"splits the nodes of several graphs; of these, graphs\.csv says"):
        load(str(written(tmp_path, edges=edges, nodes=nodes)), None, 0.1)


def test_a_number_that_is_asked_for_may_be_left_empty(tmp_path: Path) -> None:
    nodes = "node,target,charge\n0,1.5,1\n1,,1\n2,nan,1\n3,2.5,1\n"
    (graph,) = read_tables(tables(tmp_path, edges=SQUARE, nodes=nodes))
    assert graph.node_targets is not None
    assert np.isnan(graph.node_targets).tolist() == [False, True, True, False]
    with pytest.raises(DataError, match=r"line 5, has nothing in the column 'charge'"):
        read_tables(tables(tmp_path, nodes=nodes.replace("2.5,1", "2.5,")))


def test_files_of_graphs_are_data(tmp_path: Path) -> None:
    many, one = tmp_path / "many.g6", tmp_path / "one.graphml"
    many.write_bytes(b"".join(nx.to_graph6_bytes(nx.cycle_graph(n), header=False) for n in (4, 5, 6)))
    nx.write_graphml(nx.Graph(nx.path_graph(5), label=1), one)
    assert [graph.nodes for graph in to_answer(str(many), None)] == [4, 5, 6]
    (graph,) = to_answer(str(one), None)
    assert (graph.nodes, graph.target) == (5, 1)
    assert len(read_graphs(many)) == 3
    with pytest.raises(DataError, match="holds 3 graphs, one a line, where one is wanted"):
        read_graph(many)
