import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.config import ConfigError, parse
from formarium.errors import DataError
from formarium.tasks.links.datasets import load
from formarium.tasks.links.graph import (
    KnowledgeGraph,
    Labelled,
    number_triples,
    read_names,
    read_triples,
    renumbered,
    split_triples,
    with_reciprocals,
)
from formarium.tasks.links.synthetic import Geometries
from formarium.tasks.links.vocabulary import Vocabulary

TRAIN = [("a", "likes", "b"), ("b", "likes", "c"), ("a", "likes", "b"), ("c", "knows", "a")]
VALIDATION = [("a", "knows", "b"), ("d", "likes", "a")]
TEST = [("c", "likes", "a"), ("a", "owns", "b"), ("b", "likes", "c")]


def labels(graph: KnowledgeGraph, split: str) -> list[Labelled]:
    rows = graph.splits[split].tolist()  # type: ignore[index]
    return [(graph.entities[h], graph.relations[r], graph.entities[t]) for h, r, t in rows]


def test_oddities_are_answered_for(capsys: pytest.CaptureFixture[str]) -> None:
    splits = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    kept = number_triples(splits)  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert labels(kept, "train") == [TRAIN[0], TRAIN[1], TRAIN[3]]
    assert labels(kept, "validation") == VALIDATION
    assert labels(kept, "test") == TEST
    assert kept.entities == ("a", "b", "c", "d")
    assert kept.relations == ("knows", "likes", "owns")
    assert kept.seen == (3, 2)
    assert "1 triples stand in the train split more than once" in told
    assert "1 of 2 validation triples name what training never saw" in told  # an entity
    assert "1 of 3 test triples name what training never saw" in told  # a relation
    assert "1 test triples stand in the training split too" in told
    dropped = number_triples(splits, unseen="drop")  # type: ignore[arg-type]
    assert "dropped" in capsys.readouterr().err
    assert (dropped.entities, dropped.relations) == (("a", "b", "c"), ("knows", "likes"))
    assert labels(dropped, "validation") == VALIDATION[:1]
    assert labels(dropped, "test") == [TEST[0], TEST[2]]


def test_a_graph_without_training_triples_is_refused() -> None:
    with pytest.raises(DataError, match="no triples to train on"):
        number_triples({"train": [], "test": TEST})


def test_a_part_of_a_large_graph_is_that_between_the_best_connected(tmp_path: Path) -> None:
    for stem, rows in (("train", [*TRAIN, ("a", "likes", "d")]), ("valid", VALIDATION), ("test", TEST)):
        write(tmp_path / f"{stem}.tsv", rows)
    part = load(str(tmp_path), entities=2)  # a has most links, then b, before c by name
    assert part.entities == ("a", "b")
    assert labels(part, "train") == [("a", "likes", "b")]
    assert labels(part, "validation") == [("a", "knows", "b")]
    assert labels(part, "test") == [("a", "owns", "b")]
    assert load(str(tmp_path), entities=100).entities == load(str(tmp_path)).entities


def test_reciprocals_lead_back() -> None:
    both = with_reciprocals(np.array([[0, 1, 2], [3, 0, 4]]), 5)
    assert both.tolist() == [[0, 1, 2], [3, 0, 4], [2, 6, 0], [4, 5, 3]]


@given(st.integers(0, 1000), st.floats(0.01, 0.4))
def test_held_out_triples_leave_every_entity_and_relation_in_training(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    rows = [(f"e{h}", f"r{r}", f"e{t}") for h, r, t in random.integers((12, 4, 12), size=(50, 3)).tolist()]
    splits = split_triples(rows, share)
    assert splits == split_triples(rows[::-1], share)
    parts = [set(splits[name]) for name in ("train", "validation", "test")]
    assert set.union(*parts) == set(rows)
    assert sum(map(len, parts)) == len(set(rows))
    for column in (1, None):
        of = (lambda t: {t[1]}) if column else (lambda t: {t[0], t[2]})
        everything = set().union(*(of(t) for t in rows))
        assert set().union(*(of(t) for t in parts[0])) == everything
    assert abs(len(parts[1]) - len(parts[2])) <= 1
    assert len(parts[1]) <= round(share * len(set(rows)))


def write(path: Path, rows: list[Labelled]) -> Path:
    text = "".join("\t".join(row) + "\r\n" for row in rows) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode("utf-8-sig"))
    return path


def test_folders_and_files_are_read_gzipped_or_not(tmp_path: Path) -> None:
    write(tmp_path / "train.tsv.gz", TRAIN)
    write(tmp_path / "dev.txt", VALIDATION)
    write(tmp_path / "test.tsv", TEST)
    (tmp_path / "names.tsv").write_text("a\tAnna\nb\tBert\n")
    graph = load(str(tmp_path), names=str(tmp_path / "names.tsv"))
    assert labels(graph, "test") == TEST
    assert graph.names == {"a": "Anna", "b": "Bert"}
    (tmp_path / "test.tsv").unlink()
    with pytest.raises(DataError, match="no test triples"):
        load(str(tmp_path))
    alone = load(str(write(tmp_path / "all.tsv", [("x", "r", f"y{i}") for i in range(20)] * 2)), held_out=0.1)
    assert len(alone.splits["train"]) == 20  # each y is named once, so that none can be held out
    (tmp_path / "wrong.tsv").write_text("a\tb\tc\n\na\tb\n")
    with pytest.raises(DataError, match=r"line 3 of .*wrong\.tsv is not a triple.*2 columns"):
        read_triples(tmp_path / "wrong.tsv")
    (tmp_path / "wrong.tsv").write_text("a\t\tc\n")
    with pytest.raises(DataError, match=r"line 1 of .* names no relation"):
        read_triples(tmp_path / "wrong.tsv")
    (tmp_path / "titled.tsv").write_text("Head\tRelation\tTail\na\tlikes\tb\n")
    assert read_triples(tmp_path / "titled.tsv") == [("a", "likes", "b")]
    (tmp_path / "empty.tsv").write_text("\n")
    with pytest.raises(DataError, match="no triples in"):
        load(str(tmp_path / "empty.tsv"))
    (tmp_path / "broken.tsv").write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(DataError, match="cannot be read"):
        load(str(tmp_path / "broken.tsv"))
    whole = gzip.compress(bytes(range(256)) * 40)
    (tmp_path / "broken.tsv").write_bytes(whole[:20] + b"\xff" * 30 + whole[50:])
    with pytest.raises(DataError, match="cannot be read"):
        load(str(tmp_path / "broken.tsv"))


def test_lines_end_at_line_breaks_alone(tmp_path: Path) -> None:
    path = tmp_path / "triples.tsv"
    path.write_bytes("\n\nhead\trelation\ttail\r\na\u2028b\tr\tc\x0bd\r\ne\tr\tf\rg\tr\th".encode())
    assert read_triples(path) == [("a\u2028b", "r", "c\x0bd"), ("e", "r", "f"), ("g", "r", "h")]
    path.write_text("a\tr\tb\nhead\trelation\ttail\n")
    assert len(read_triples(path)) == 2  # a title stands in front only
    path.write_text("a\t\n")
    with pytest.raises(DataError, match=r"line 1 of .* is not a label and a name"):
        read_names(path)


def test_a_graph_by_the_numbers_of_another(capsys: pytest.CaptureFixture[str]) -> None:
    splits = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    graph = number_triples(splits)  # type: ignore[arg-type]
    assert renumbered(graph, graph.entities, graph.relations) is graph
    wider = renumbered(graph, ("z", *reversed(graph.entities)), ("none", *reversed(graph.relations)))
    assert (wider.entities[0], wider.relations[0]) == ("z", "none")
    for split in splits:
        assert labels(wider, split) == labels(graph, split)
    with pytest.raises(DataError, match="1 of 2 validation triples name what the model does not know, as 'd'"):
        renumbered(graph, ("a", "b", "c"), graph.relations)
    fewer = renumbered(graph, ("c", "b", "a"), ("likes", "knows"), "drop")
    assert labels(fewer, "train") == labels(graph, "train")
    assert labels(fewer, "validation") == VALIDATION[:1]
    assert labels(fewer, "test") == [TEST[0], TEST[2]]


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'WN18RR'"):
        load("WN18R")
    with pytest.raises(DataError, match="no knowledge graph at"):
        load("nowhere/triples.tsv")
    with pytest.raises(DataError, match="no file of names"):
        load("Geometries(depth=2)", names="nowhere.tsv")


def test_a_benchmark_that_is_another_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    (tmp_path / "kg" / "WN18RR").mkdir(parents=True)
    for stem in ("train", "valid", "test"):
        write(tmp_path / "kg" / "WN18RR" / f"{stem}.tsv", TRAIN)
    with pytest.raises(DataError, match="does not hold the train triples of WN18RR"):
        load("WN18RR")


def test_without_a_benchmark_something_else_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*arguments: object, **settings: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"no network.*Geometries.*made on the spot"):
        load("FB15k-237")


def test_benchmarks_have_their_published_sizes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(data))
    whole, dropped = load("FB15k-237"), load("WN18RR", unseen="drop")
    assert (len(whole.entities), len(whole.relations), whole.seen) == (14541, 237, (14505, 237))
    assert [len(rows) for rows in whole.splits.values()] == [272115, 17535, 20466]
    assert (len(dropped.entities), len(dropped.relations)) == (40943 - 384, 11)
    assert [len(rows) for rows in dropped.splits.values()] == [86835, 3034 - 210, 3134 - 210]
    assert dropped.names["00001740"] == "breathe.v.01"


@pytest.mark.parametrize(
    ("name", "entities", "triples"), [("nations", 14, 1992), ("kinships", 104, 10686), ("umls", 135, 6529)]
)
def test_small_sets_come_with_pykeen(name: str, entities: int, triples: int) -> None:
    pytest.importorskip("pykeen.version")
    graph = load(name)
    assert len(graph.entities) == entities
    assert sum(map(len, graph.splits.values())) == triples


def test_geometries_have_the_shape_they_say() -> None:
    made = Geometries(branching=2, depth=3, cycles=2, cycle_length=5, grid=3, reach=2)
    triples, parts = made.labelled()
    assert len(set(triples)) == len(triples)
    counts = {part: list(parts.values()).count(part) for part in ("tree", "cycle", "grid")}
    assert counts == {"tree": 15, "cycle": 10, "grid": 9}
    # 14 parents and 12 grandparents; every node of a cycle twice; 6 + 3 steps in each direction of the grid.
    assert len(triples) == 26 + 20 + 2 * (6 + 3)
    assert all(parts[head] == parts[tail] for head, _, tail in triples)
    one = {(h, r[:-1]): t for h, r, t in triples if r.endswith("_1")}
    for head, relation, tail in triples:
        if relation.endswith("_2"):
            assert one[one[head, relation[:-1]], relation[:-1]] == tail
    graph = load(made)
    assert graph.parts is not None
    assert [parts[e] for e in graph.entities] == list(graph.parts)
    assert load("Geometries(branching=2, depth=3, cycles=2, cycle_length=5, grid=3)").entities == graph.entities
    assert len(load("Geometries").entities) == 1093 + 480 + 400
    assert parse(made.describe()) == made


def test_geometries_without_links_are_refused() -> None:
    with pytest.raises(ConfigError, match="no links"):
        Geometries(branching=0, cycles=0, grid=0).labelled()
    with pytest.raises(ConfigError, match="longer than"):
        Geometries(cycle_length=4).labelled()
    with pytest.raises(ConfigError, match="not negative"):
        Geometries(depth=-1).labelled()
    only = Geometries(branching=0, grid=0).labelled()[1]
    assert set(only.values()) == {"cycle"}
    assert "cycle" not in Geometries(cycle_length=0, depth=2, grid=5).labelled()[1].values()


def test_entities_are_found_as_people_write_them(tmp_path: Path) -> None:
    vocabulary = Vocabulary(["q1", "q2", "q3", "Q2"], ["likes"], {"q1": "Anna", "q2": "Bert", "q3": "Bert"})
    vocabulary.save(tmp_path)
    for known in (vocabulary, Vocabulary.load(tmp_path)):
        assert [known.entity(t) for t in ("q1", "Anna", "anna", "Q1", "q2", "Q2")] == [0, 0, 0, 0, 1, 3]
        assert [known.name(i) for i in range(4)] == ["Anna", "Bert", "Bert", "Q2"]
        assert known.relation("LIKES") == 0
    zurich = Vocabulary(["Z\u00fcrich"], ["likes"])
    assert zurich.entity("Zu\u0308rich") == 0, "a letter and its mark are the letter with it"
    for known in (vocabulary, Vocabulary.load(tmp_path)):
        with pytest.raises(DataError, match="'Bert' names 2 of the entity labels: q2, q3"):
            known.entity("Bert")
        with pytest.raises(DataError, match="did you mean 'Anna'"):
            known.entity("Ana")
        with pytest.raises(DataError, match=r"no relation 'like'.*did you mean 'likes'"):
            known.relation("like")
    (tmp_path / "relations.txt").unlink()
    with pytest.raises(DataError, match=r"no relations\.txt"):
        Vocabulary.load(tmp_path)


def test_a_file_of_triples_may_name_its_columns_and_repeat_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "graph.tsv"
    rows = [f"e{i}\tr\te{(i + 1) % 30}" for i in range(30)] + [f"e{i}\tr\te{(i + 2) % 30}" for i in range(30)]
    path.write_text("\n".join(["Source\tRelation\tTarget", *rows, *rows[:3]]))
    found = load(str(path))
    said = " ".join(capsys.readouterr().err.split())
    assert "names its columns" in said
    assert "3 triples stand there more than once" in said
    assert sum(map(len, found.splits.values())) == 60


def test_columns_may_stand_in_any_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "graph.tsv"
    path.write_text("Object\tsubject\tRelation\nb\ta\tlikes\nc\tb\tknows\n")
    assert read_triples(path) == [("a", "likes", "b"), ("b", "knows", "c")]
    assert "names its columns" in capsys.readouterr().err
    path.write_text("head\tlikes\ttail\nhead\trelation\ttail\n")
    assert read_triples(path) == [("head", "likes", "tail"), ("head", "relation", "tail")]


def test_a_label_has_one_name(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("e1\tRome\ne1\tRome\ne2\tParis\n")
    assert read_names(path) == {"e1": "Rome", "e2": "Paris"}
    path.write_text("e2\tParis\ne2\tLondon\n")
    with pytest.raises(DataError, match=r"line 2 of .* names 'e2' 'London', which it named 'Paris' before"):
        read_names(path)
