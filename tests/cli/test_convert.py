"""``formarium convert``: published weights to a folder of ours."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest

from formarium.official import papers


def test_a_published_folder_becomes_one_that_every_command_uses(run: Callable, trained: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=257, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs" / "tokenizer.json").write_bytes((trained / "tokenizer.json").read_bytes())
    done = run("convert", "llama", tmp_path / "theirs", tmp_path / "ours")
    assert done == (0, f"model: {tmp_path / 'ours'}\n", "")
    names = sorted(path.name for path in (tmp_path / "ours").iterdir())
    assert names == ["config.json", "model.safetensors", "tokenizer.json"]
    assert run("generate", tmp_path / "ours", "a", "-n", 4, "--seed", 0).out.startswith("a")


def test_what_cannot_be_converted(refused: Callable[..., str], trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        refused("convert", "llama", tmp_path / "nowhere", out) == f"error: there is nothing at {tmp_path / 'nowhere'}"
    )
    message = refused("convert", "lama", tmp_path, out)
    assert message == "error: there is no official adapter for 'lama'; did you mean 'llama'?"
    assert "there is no model configuration at" in refused("convert", "llama", tmp_path, out)
    assert "is not a folder with config.json and weights" in refused("convert", "llama", trained / "config.json", out)
    assert "none of the Llama family" in refused("convert", "llama", trained, out)
    assert not out.exists()


def test_papers_without_checkpoints_say_which_have_some(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "polycom" in papers()
    message = refused("convert", "polycom", tmp_path, tmp_path / "out")
    assert message.startswith("error: no converter for whole checkpoints of 'polycom'; there are: ")
    assert "llama" in message
