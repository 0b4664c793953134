"""Checkpoints of the Llama family (Llama, Mistral, Qwen 2 and 3) as Hugging Face folders, into our decoder."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from formarium.config import suggestion
from formarium.errors import CheckpointError, DataError, FormariumError
from formarium.files import read_json, replacing
from formarium.models.decoder import Decoder
from formarium.models.model import read_weights
from formarium.official.adapter import State
from formarium.parts.channel_mixers.activations import GELU, SiLU
from formarium.parts.channel_mixers.feed_forward import SwiGLU
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.positions.rotary import RoPE
from formarium.parts.token_mixers.attention import Attention
from formarium.theory.rope_config import scaling_from

MODULES: dict[str, Any] = {}  # the family is checked against transformers itself, not against stored tensors

_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_ACTIVATIONS = {
    "silu": SiLU.Config(),
    "swish": SiLU.Config(),
    "gelu": GELU.Config(),
    "gelu_pytorch_tanh": GELU.Config("tanh"),
}


def load_checkpoint(folder: str | Path) -> Decoder:
    """The decoder of a Hugging Face folder (config.json and safetensors, in one file or several).

    Raises DataError for a folder of another kind of model, CheckpointError for weights that are not what it says.
    """
    folder = Path(folder)
    config = decoder_config(read_json(folder / "config.json", "model configuration"))
    model = Decoder(config)
    model.load_weights(translate(_weights(folder), config), str(folder))
    return model.eval()


def convert(weights: Path, out: Path) -> None:
    """Turns a Hugging Face folder into one of ours; its tokenizer goes along."""
    if not weights.is_dir():
        raise DataError(f"{weights} is not a folder with config.json and weights")
    if out.exists() and out.samefile(weights):
        raise DataError(f"{out} holds the weights to be read; the model goes to another folder")
    model = load_checkpoint(weights)
    model.save_pretrained(out)
    if (weights / "tokenizer.json").is_file():
        with replacing(out / "tokenizer.json") as temporary:
            shutil.copyfile(weights / "tokenizer.json", temporary)


def decoder_config(data: Mapping[str, Any]) -> Decoder.Config:
    """Our configuration of a Hugging Face one; DataError for a kind of model, or a setting, that is not read here."""
    if not isinstance(data, Mapping):
        raise DataError(f"a model configuration is names and values, not a {type(data).__name__}")
    family = str(data.get("model_type"))
    if family not in _FAMILIES:
        raise DataError(f"a model of type {family!r} is none of the Llama family{suggestion(family, _FAMILIES)}")
    activation = str(data.get("hidden_act", "silu"))
    if activation not in _ACTIVATIONS:
        raise DataError(f"the activation {activation!r} is not known here{suggestion(activation, _ACTIVATIONS)}")
    try:
        width, heads = int(data["hidden_size"]), int(data["num_attention_heads"])
        rotary = {**data, **(data.get("rope_parameters") or data.get("rope_scaling") or {})}
        eps = float(data.get("rms_norm_eps", 1e-6))
        biased = family == "qwen2" or bool(data.get("attention_bias", False))
        return Decoder.Config(
            vocabulary=int(data["vocab_size"]),
            width=width,
            depth=int(data["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(data.get("num_key_value_heads") or heads),
            head_width=int(data.get("head_dim") or width // heads),
            max_length=int(data.get("max_position_embeddings", 2048)),
            position=RoPE.Config(
                base=float(rotary.get("rope_theta", 10000.0)),
                fraction=float(rotary.get("partial_rotary_factor") or 1.0),
                scaling=scaling_from(rotary, int(data.get("max_position_embeddings", 2048))),
            ),
            token_mixer=Attention.Config(
                bias=biased,
                output_bias=biased and family != "qwen2",
                qk_norm=RMSNorm.Config(eps=eps) if family == "qwen3" else None,
                window=_window(data, family),
            ),
            channel_mixer=SwiGLU.Config(
                hidden=int(data["intermediate_size"]),
                bias=bool(data.get("mlp_bias", False)),
                activation=_ACTIVATIONS[activation],
            ),
            norm=RMSNorm.Config(eps=eps),
            tied=bool(data.get("tie_word_embeddings", False)),
        )
    except KeyError as error:
        raise DataError(f"the model configuration lacks {error}") from None
    except FormariumError:
        raise
    except (TypeError, ValueError) as error:
        raise DataError(f"the model configuration holds a value of the wrong kind: {error}") from None


def _window(data: Mapping[str, Any], family: str) -> int | None:
    window = data.get("sliding_window")
    if window is None or (family.startswith("qwen") and not data.get("use_sliding_window", False)):
        return None
    kinds = set(data.get("layer_types") or ())
    if len(kinds) > 1 or (data.get("max_window_layers") not in (None, 0) and family.startswith("qwen")):
        raise DataError("a window of attention in some layers only is not read from this family's checkpoints")
    return None if kinds == {"full_attention"} else int(window)


def translate(weights: State, config: Decoder.Config) -> dict[str, Tensor]:
    """Hugging Face tensors under our names: three projections in one matrix, gate and value in another."""
    weights = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
    used: set[str] = set()

    def take(*names: str) -> Tensor:
        absent = [name for name in names if name not in weights]
        if absent:
            raise CheckpointError(f"the weights lack {absent[0]!r}")
        used.update(names)
        return weights[names[0]] if len(names) == 1 else torch.cat([weights[name] for name in names])

    found = {"stem.weight": take("embed_tokens.weight"), "norm.weight": take("norm.weight")}
    if not config.tied:
        found["head.weight"] = take("lm_head.weight")
    mixer, feed = cast(Attention.Config, config.token_mixer), cast(SwiGLU.Config, config.channel_mixer)
    out_bias = mixer.bias if mixer.output_bias is None else mixer.output_bias
    for layer in range(config.depth):
        theirs, ours = f"layers.{layer}.", f"blocks.{layer}."
        attention, mlp = f"{theirs}self_attn.", f"{theirs}mlp."
        found[f"{ours}token_norm.weight"] = take(f"{theirs}input_layernorm.weight")
        found[f"{ours}channel_norm.weight"] = take(f"{theirs}post_attention_layernorm.weight")
        for kind in ("weight", "bias") if mixer.bias else ("weight",):
            found[f"{ours}token_mixer.qkv.{kind}"] = take(*(f"{attention}{p}_proj.{kind}" for p in "qkv"))
        for kind in ("weight", "bias") if out_bias else ("weight",):
            found[f"{ours}token_mixer.out.{kind}"] = take(f"{attention}o_proj.{kind}")
        if mixer.qk_norm is not None:
            found[f"{ours}token_mixer.query_norm.weight"] = take(f"{attention}q_norm.weight")
            found[f"{ours}token_mixer.key_norm.weight"] = take(f"{attention}k_norm.weight")
        for kind in ("weight", "bias") if feed.bias else ("weight",):
            found[f"{ours}channel_mixer.up.{kind}"] = take(f"{mlp}gate_proj.{kind}", f"{mlp}up_proj.{kind}")
            found[f"{ours}channel_mixer.down.{kind}"] = take(f"{mlp}down_proj.{kind}")
    extra = [n for n in weights if n not in used and not n.endswith("rotary_emb.inv_freq") and n != "lm_head.weight"]
    if extra:
        raise CheckpointError(f"the weights hold {extra[0]!r}, which the configuration does not speak of")
    return found


def _weights(folder: Path) -> dict[str, Tensor]:
    # Some folders hold the same weights once more under their publisher's own names.
    patterns = ("model*.safetensors", "*.safetensors", "pytorch_model*.bin")
    files: list[Path] = next((named for p in patterns if (named := sorted(folder.glob(p)))), [])
    if not files:
        raise CheckpointError(f"there are no weights (*.safetensors) in {folder}")
    found: dict[str, Tensor] = {}
    for file in files:
        found.update(read_weights(file))
    return found
