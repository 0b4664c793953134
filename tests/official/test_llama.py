"""Checkpoints of the Llama family as transformers writes them: the same logits, or a sentence that says why not."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers")

from formarium.config import ConfigError
from formarium.errors import CheckpointError, DataError, FormariumError
from formarium.models import Decoder
from formarium.models.generation import Sampling, generate
from formarium.official import convert
from formarium.official.llama import decoder_config, load_checkpoint

SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "attn_implementation": "eager",
}
LONG = [1.0 + 0.5 * number for number in range(4)]
ROTARY: dict[str, dict[str, Any]] = {
    "plain": {"rope_type": "default", "rope_theta": 500000.0},
    "linear": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
        "rope_theta": 10000.0,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 10000.0},
    "yarn-deepseek": {
        "rope_type": "yarn",
        "factor": 4.0,
        "original_max_position_embeddings": 16,
        "beta_fast": 16,
        "beta_slow": 2,
        "mscale": 0.7,
        "mscale_all_dim": 1.3,
        "rope_theta": 10000.0,
    },
    "longrope": {
        "rope_type": "longrope",
        "short_factor": [1.0, 1.1, 1.2, 1.3],
        "long_factor": LONG,
        "factor": 4.0,
        "original_max_position_embeddings": 16,
        "rope_theta": 10000.0,
    },
}


def _made(family: str, folder: Path, **changes: Any) -> Any:
    """A small random model of transformers, saved."""
    import transformers

    torch.manual_seed(0)
    kinds = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    }
    config, kind = kinds[family]
    model = kind(config(**{**SMALL, **changes})).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return model


def _agree(theirs: Any, ours: Decoder, length: int) -> None:
    tokens = torch.randint(61, (2, length), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = theirs(tokens).logits, ours(tokens)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-biased": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama-tied": ("llama", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    "llama-wide-heads": ("llama", {"head_dim": 16, "rms_norm_eps": 1e-3}),
    "llama-gelu": ("llama", {"hidden_act": "gelu"}),
    "llama-gelu-tanh": ("llama", {"hidden_act": "gelu_pytorch_tanh"}),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-window": ("mistral", {"sliding_window": 5}),
    "qwen2": ("qwen2", {}),
    "qwen2-window": ("qwen2", {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0}),
    "qwen2-idle-window": ("qwen2", {"use_sliding_window": False, "sliding_window": 5}),
    "qwen3": ("qwen3", {"head_dim": 16}),
    "qwen3-biased": ("qwen3", {"head_dim": 8, "attention_bias": True}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_logits(name: str, tmp_path: Path) -> None:
    family, changes = FAMILIES[name]
    theirs = _made(family, tmp_path, **changes)
    ours = load_checkpoint(tmp_path)
    assert not ours.training
    assert ours.num_parameters() == sum(p.numel() for p in theirs.parameters())
    _agree(theirs, ours, 24)


@pytest.mark.parametrize("length", [12, 40])
@pytest.mark.parametrize("name", ROTARY)
def test_the_same_logits_with_each_scaling(name: str, length: int, tmp_path: Path) -> None:
    """Shorter and longer than the length of the training, where some scalings change."""
    positions = 16 if name == "dynamic" else 64
    theirs = _made("llama", tmp_path, rope_parameters=ROTARY[name], max_position_embeddings=positions)
    _agree(theirs, load_checkpoint(tmp_path), length)


def test_scalings_differ_from_each_other(tmp_path: Path) -> None:
    """Else agreeing with each says little."""
    tokens = torch.randint(61, (1, 40))
    logits = []
    for name in ROTARY:
        positions = 16 if name == "dynamic" else 64
        _made("llama", tmp_path / name, rope_parameters=ROTARY[name], max_position_embeddings=positions)
        with torch.no_grad():
            logits.append(load_checkpoint(tmp_path / name)(tokens))
    for number, one in enumerate(logits):
        assert all((one - other).abs().max() > 1e-2 for other in logits[:number])


def test_older_spellings_of_a_scaling(tmp_path: Path) -> None:
    theirs = _made("llama", tmp_path, rope_parameters=ROTARY["linear"])
    config = json.loads((tmp_path / "config.json").read_text())
    del config["rope_parameters"]
    config |= {"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_theta": 10000.0}
    (tmp_path / "config.json").write_text(json.dumps(config))
    _agree(theirs, load_checkpoint(tmp_path), 24)


def test_greedy_continuations_agree(tmp_path: Path) -> None:
    theirs = _made("qwen3", tmp_path, head_dim=8)
    expected = theirs.generate(torch.tensor([[1, 2, 3]]), max_new_tokens=8, do_sample=False, pad_token_id=0)
    found = generate(load_checkpoint(tmp_path), [[1, 2, 3]], Sampling(new_tokens=8, temperature=0.0))
    assert found == expected[:, 3:].tolist()


def test_weights_in_several_files_and_in_half_precision(tmp_path: Path) -> None:
    theirs = _made("llama", tmp_path)
    weights = {name: t.bfloat16() for name, t in load_file(tmp_path / "model.safetensors").items()}
    (tmp_path / "model.safetensors").unlink()
    names = sorted(weights)
    for number in (1, 2):
        save_file(
            {n: weights[n] for n in names[number - 1 :: 2]}, tmp_path / f"model-0000{number}-of-00002.safetensors"
        )
    # Mistral's folders hold everything once more in its own names.
    save_file({"tok_embeddings.weight": torch.zeros(2)}, tmp_path / "consolidated.safetensors")
    for parameter in theirs.parameters():
        parameter.data = parameter.data.bfloat16().float()
    _agree(theirs, load_checkpoint(tmp_path), 24)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="the weights lack '"):
        load_checkpoint(tmp_path)


def test_weights_as_torch_writes_them(tmp_path: Path) -> None:
    theirs = _made("llama", tmp_path)
    torch.save(load_file(tmp_path / "model.safetensors"), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    _agree(theirs, load_checkpoint(tmp_path), 24)


# -------------------------------------------------------------------------------------------------------------- convert


def test_a_converted_folder_is_one_of_ours(tmp_path: Path) -> None:
    from formarium.tasks.language import tokenizers

    theirs = _made("mistral", tmp_path / "theirs", sliding_window=5)
    tokenizers.Bytes().save(tmp_path / "theirs")
    convert("llama", tmp_path / "theirs", tmp_path / "ours")
    _agree(theirs, Decoder.from_pretrained(tmp_path / "ours").eval(), 24)
    assert tokenizers.load(tmp_path / "ours").vocabulary == 257


def test_the_weights_are_not_written_over(tmp_path: Path) -> None:
    _made("llama", tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(DataError, match="holds the weights to be read; the model goes to another folder"):
        convert("llama", tmp_path, tmp_path / ".." / tmp_path.name)
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").touch()
    with pytest.raises(DataError, match=r"weights\.bin is not a folder with config\.json and weights"):
        convert("llama", tmp_path / "weights.bin", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "a model of type 'gpt2' is none of the Llama family"),
        ({"model_type": "lama"}, "a model of type 'lama' is none of the Llama family; did you mean 'llama'?"),
        ({"hidden_act": "relu"}, "the activation 'relu' is not known here"),
        ({"hidden_size": None}, "the model configuration holds a value of the wrong kind: int() argument"),
        ({"intermediate_size": "many"}, "holds a value of the wrong kind: invalid literal"),
        ({"rope_scaling": "yarn"}, "holds a value of the wrong kind"),
        ({"rope_scaling": {"rope_type": "spiral"}}, "there is no rope scaling 'spiral'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "lacks low_freq_factor"),
        ({"rope_scaling": {"rope_type": "linear"}}, "lacks factor"),
        ({"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0]}}, "lacks long_factor"),
        (
            {"model_type": "mistral", "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]},
            "a window of attention in some layers only is not read",
        ),
        (
            {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
            "a window of attention in some layers only is not read",
        ),
    ],
)
def test_configurations_that_are_not_read(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormariumError) as caught:
        decoder_config({"model_type": "llama", **SMALL, **changes})
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"])
def test_what_a_configuration_lacks_is_named(key: str) -> None:
    data = {"model_type": "llama", **SMALL}
    del data[key]
    with pytest.raises(DataError, match=f"the model configuration lacks '{key}'"):
        decoder_config(data)


def test_heads_that_do_not_divide(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot share 3 key heads"):
        decoder_config({"model_type": "llama", **SMALL, "num_key_value_heads": 3}).build()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    _made("llama", tmp_path)
    return tmp_path


def _changed(folder: Path, change: Any) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def test_weights_that_are_not_what_the_configuration_says(folder: Path) -> None:
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    name = "model.layers.1.mlp.down_proj.weight"
    for change, message in (
        (lambda weights: weights.pop(name), "the weights lack 'layers.1.mlp.down_proj.weight'"),
        (lambda weights: weights.update(extra=torch.zeros(1)), "the weights hold 'extra', which the configuration"),
        (lambda weights: weights.update({name: torch.zeros(3, 3)}), "of another shape blocks.1.channel_mixer.down"),
    ):
        _changed(folder, change)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(folder)
        shutil.copy(kept / "model.safetensors", folder)
    _changed(folder, lambda weights: weights.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(4)}))
    load_checkpoint(folder)  # older folders hold tables that follow from the configuration


def test_folders_that_hold_no_checkpoint(folder: Path) -> None:
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors are damaged or truncated"):
        load_checkpoint(folder)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"there are no weights \(\*\.safetensors\) in"):
        load_checkpoint(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(DataError, match="a model configuration is names and values, not a list"):
        load_checkpoint(folder)
    (folder / "config.json").unlink()
    with pytest.raises(DataError, match="there is no model configuration at"):
        load_checkpoint(folder)
