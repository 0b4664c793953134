"""``formarium curvature``: what goes to which geometry, and one sentence for models that have none to choose."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from formarium.models import Decoder, GraphTransformer, LinkPredictor
from formarium.tasks import Links
from formarium.tasks.language import tokenizers

DATA = "Geometries(branching=2, depth=2, cycles=1, cycle_length=6, grid=2)"
Run = Callable[..., object]


def kept(folder: Path, **changes: object) -> Path:
    task: Links = Links.Config().override({"data": DATA}).build()
    torch.manual_seed(0)
    base = LinkPredictor.Config(width=8, heads=2, depth=1, init_std=0.3).override(changes)
    task.adapt(base).build().save_pretrained(folder)
    task.save(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept(tmp_path_factory.mktemp("model"))


def test_says_what_goes_where(model: Path, run: Run, tmp_path: Path) -> None:
    page = tmp_path / "geometries.html"
    found = json.loads(run("curvature", model, "--json", "--html", page, "--top", 3).out)  # type: ignore[attr-defined]
    assert found["branches"] == ["Euclidean", "hyperbolic", "spherical"]
    assert "tree_0" in page.read_text()
    told = run("curvature", model)
    assert told.status == 0  # type: ignore[attr-defined]
    assert "most hyperbolic" in told.out  # type: ignore[attr-defined]


def test_three_branches_of_one_kind_are_numbered(tmp_path: Path, run: Run) -> None:
    folder = kept(tmp_path / "flat", token_mixer="Mixture(branches=(Attention, Attention, Attention))")
    found = json.loads(run("curvature", folder, "--json").out)  # type: ignore[attr-defined]
    assert found["branches"] == ["Euclidean 1", "Euclidean 2", "Euclidean 3"]


def test_words_of_a_language_model(tmp_path: Path, run: Run, refused: Callable[..., str]) -> None:
    config = Decoder.Config(width=8, depth=1, heads=2, max_length=16).override({"token_mixer": "Mixture"})
    config.build().save_pretrained(tmp_path)
    tokenizers.Bytes().save(tmp_path)
    assert json.loads(run("curvature", tmp_path, "--text", "some words", "--json").out)["branches"]  # type: ignore[attr-defined]
    assert "needs a text" in refused("curvature", tmp_path)


@pytest.mark.parametrize("mixer", ["Attention", "Mixture(router=None)"])
def test_a_model_without_a_router_is_refused(tmp_path: Path, refused: Callable[..., str], mixer: str) -> None:
    assert "no router" in refused("curvature", kept(tmp_path, token_mixer=mixer))


def test_folders_of_another_kind_are_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "no model at" in refused("curvature", tmp_path)
    GraphTransformer(GraphTransformer.Config(width=8, depth=1, heads=2)).save_pretrained(tmp_path)
    assert "GraphTransformer has no routers" in refused("curvature", tmp_path)


@pytest.mark.parametrize(("name", "message"), [("model.safetensors", "truncated"), ("triples.npy", "damaged")])
def test_a_truncated_file_is_named(
    model: Path, tmp_path: Path, refused: Callable[..., str], name: str, message: str
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(model, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:60])
    assert message in refused("curvature", folder)
    (folder / name).unlink()
    assert name in refused("curvature", folder)


def test_a_mixture_within_a_mixture_is_one_branch(run: Run, tmp_path: Path) -> None:
    """Its own routers, of as many branches or of another number, are no layers of the outer one."""
    for name, inner in (("two", "Mixture(branches=(Attention, SphericalAttention))"), ("three", "Mixture")):
        folder = kept(tmp_path / name, token_mixer=f"Mixture(branches=({inner}, Attention))")
        found = json.loads(run("curvature", folder, "--json").out)  # type: ignore[attr-defined]
        assert found["branches"] == ["Mixture", "Euclidean"]
