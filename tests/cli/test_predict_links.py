"""``formarium predict-links``: answers about a graph, and one sentence for everything that cannot be answered."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from formarium.models import DistMult, GraphTransformer, LinkPredictor
from formarium.tasks import Links

TRIPLES = [("dog", "is_a", "animal"), ("cat", "is_a", "animal"), ("dog", "chases", "cat"), ("cat", "chases", "mouse")]
TRIPLES += [("mouse", "is_a", "animal"), ("dog", "is_a", "pet"), ("cat", "is_a", "pet")]
Run = Callable[..., object]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of triples: one of training comes twice, one entity and one relation are in the test split only."""
    folder = tmp_path_factory.mktemp("triples")
    lines = ["\t".join(triple) for triple in [*TRIPLES, TRIPLES[0]]]
    (folder / "train.tsv").write_text("\n".join(lines) + "\n")
    (folder / "valid.tsv").write_text("mouse\tis_a\tpet\n")
    (folder / "test.tsv").write_text("dog\tfears\tmouse\nelephant\tis_a\tanimal\n")
    return folder


@pytest.fixture(scope="module", params=["LinkPredictor", "DistMult"])
def model(graph: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp("model") / "pets"
    task: Links = Links.Config(data=str(graph)).build()
    base = LinkPredictor.Config(width=8, heads=2, depth=1) if request.param == "LinkPredictor" else DistMult.Config()
    torch.manual_seed(0)
    task.adapt(base).build().save_pretrained(folder)
    task.save(folder)
    return folder


def test_answers_every_third(model: Path, run: Callable[..., object]) -> None:
    for asked, kind in (
        (("--head", "dog", "--relation", "is_a"), {"dog", "cat", "mouse", "animal", "pet", "elephant"}),
        (("--relation", "is_a", "--tail", "pet"), {"dog", "cat", "mouse", "animal", "pet", "elephant"}),
        (("--head", "dog", "--tail", "pet"), {"is_a", "chases", "fears"}),
    ):
        done = run("predict-links", model, *asked, "--json")
        answers = json.loads(done.out)  # type: ignore[attr-defined]
        assert done.status == 0  # type: ignore[attr-defined]
        assert {answer["label"] for answer in answers} == kind
        scores = [answer["score"] for answer in answers]
        assert scores == sorted(scores, reverse=True)
    told = run("predict-links", model, "--head", "dog", "--relation", "is_a", "--new", "--json")
    assert {a["label"] for a in json.loads(told.out)} == {"dog", "cat", "mouse", "elephant"}  # type: ignore[attr-defined]
    table = run("predict-links", model, "--head", "dog", "--relation", "is_a", "--top", 3)
    assert len(table.out.strip().splitlines()) == 4  # type: ignore[attr-defined]


def test_duplicates_and_what_only_the_test_names_do_not_matter(graph: Path, model: Path, run: Run) -> None:
    task: Links = Links.Config(data=str(graph)).build()
    assert len(task.graph.splits["train"]) == len(TRIPLES)
    assert task.graph.seen == (5, 2)
    done = run("predict-links", model, "--head", "elephant", "--relation", "fears", "--json")
    assert len(json.loads(done.out)) == 6  # type: ignore[attr-defined]


def test_a_question_that_is_none_is_refused(model: Path, refused: Callable[..., str]) -> None:
    assert "name two of head, relation and tail" in refused("predict-links", model, "--head", "dog")
    three = ("--head", "dog", "--relation", "is_a", "--tail", "pet")
    assert "name two of head, relation and tail" in refused("predict-links", model, *three)
    asked = refused("predict-links", model, "--head", "dogs", "--relation", "is_a")
    assert "no entity 'dogs'" in asked
    assert "did you mean 'dog'" in asked
    asked = refused("predict-links", model, "--head", "dog", "--relation", "isa")
    assert "no relation 'isa'" in asked
    assert "did you mean 'is_a'" in asked


@pytest.mark.parametrize(
    ("name", "keep", "message"),
    [
        ("config.json", 40, "config.json"),
        ("model.safetensors", 200, "damaged or truncated"),
        ("model.safetensors", 0, "damaged or truncated"),
        ("triples.npy", 70, "damaged"),
        ("triples.npy", 0, "damaged"),
        ("entities.tsv", 9, "the names beside it"),
        ("relations.txt", 0, "the names beside it"),
    ],
)
def test_a_truncated_file_is_named(
    model: Path, tmp_path: Path, refused: Callable[..., str], name: str, keep: int, message: str
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(model, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    assert message in refused("predict-links", folder, "--head", "dog", "--relation", "is_a")


def test_a_folder_of_another_kind_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    asked = ("--head", "dog", "--relation", "is_a")
    assert "no model at" in refused("predict-links", tmp_path, *asked)
    GraphTransformer(GraphTransformer.Config(width=8, depth=1, heads=2)).save_pretrained(tmp_path)
    assert "GraphTransformer, not a TripleScorer" in refused("predict-links", tmp_path, *asked)
    alone = tmp_path / "alone"
    DistMult(DistMult.Config(entities=3, relations=1)).save_pretrained(alone)
    assert "it has no entities.tsv" in refused("predict-links", alone, *asked)


def test_without_the_triples_of_training_nothing_is_said_to_be_new(
    model: Path, tmp_path: Path, run: Callable[..., Any], refused: Callable[..., str]
) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(model, folder)
    (folder / "triples.npy").unlink()
    done = run("predict-links", folder, "--head", "dog", "--relation", "is_a")
    assert done.status == 0
    assert "which answers stood in training is not known" in done.err
    assert "triples.npy" in refused("predict-links", folder, "--head", "dog", "--relation", "is_a", "--new")
