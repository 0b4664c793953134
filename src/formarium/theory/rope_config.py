"""A model's rotary facts out of its config.json: which layers turn how many channels, at which frequencies, how far.

Reads the dialects of Hugging Face configurations (old and new names, nested text models, scalings under ``type`` or
``rope_type``, one rotation for each type of layer, latent attention, layers that do not rotate) and the config.json of
formarium's own models. What a file leaves to the code that reads it is taken from ``_FAMILIES`` and said in the notes.
"""

import dataclasses
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from formarium.config import ConfigError, config_from_dict, suggestion
from formarium.errors import DataError, FormariumError
from formarium.files import read_object
from formarium.parts.positions.combined import Combined
from formarium.parts.positions.rope_scaling import (
    DynamicNTK,
    LinearScaling,
    Llama3,
    LongRoPE,
    ProportionalScaling,
    Scaling,
    YaRN,
)
from formarium.parts.positions.rotary import RoPE
from formarium.progress import notice
from formarium.theory.layer_types import CHUNKED, FULL, SLIDING, layer_types, periodic, rotating, window
from formarium.theory.rope_bounds import Array, slowest

Settings = Mapping[str, Any]

_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
_WIDTH = ("hidden_size", "n_embd", "d_model", "dim", "n_embed")
_HEAD_WIDTH = ("head_dim", "attention_head_dim", "kv_channels", "d_head")
_LENGTH = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length", "n_ctx")
_BASE = ("rope_theta", "rotary_emb_base", "rotary_embedding_base", "rope_base", "global_rope_theta")
_LOCAL_BASE = ("rope_local_base_freq", "swa_rope_theta", "local_rope_theta")
_FRACTION = ("partial_rotary_factor", "rotary_pct", "rope_pct", "rotary_percentage")
_ROTATED = ("rotary_dim", "attn_rotary_emb", "rotary_ndims")
_NESTED = ("text_config", "llm_config", "language_config", "thinker_config", "decoder")
# Numbers beyond these are mistakes; without an end a wrong one would fill the memory.
_MOST_LAYERS, MOST_TOKENS, _MOST_CHANNELS = 100_000, 1 << 40, 1 << 16


@dataclass(frozen=True)
class _Family:
    """What the public code of a model type supplies where its config.json is silent.

    base, fraction: as in RoPE. local_base: base of its sliding layers, if they have one of their own. scales_sliding:
    whether a scaling is for them too. every: full attention in each layer of that number, sliding in the others;
    full_first: it leads its group. full_rotates: whether full attention turns where there are sliding layers.
    unrotated_every: which layer of so many does not turn. rotates: false where the code turns nothing, whatever its
    configuration names.
    """

    base: float = 10000.0
    fraction: float = 1.0
    local_base: float | None = None
    scales_sliding: bool = True
    every: int | None = None
    full_first: bool = False
    full_rotates: bool = True
    unrotated_every: int | None = None
    rotates: bool = True


_PLAIN = (
    "llama mistral qwen qwen2 qwen2_moe qwen3 qwen3_moe gemma phi3 starcoder2 internlm internlm2 baichuan deepseek "
    "deepseek_v2 deepseek_v3 deepseek_v32 olmo olmo2 granite granitemoe minicpm minicpm3 codegen gptj falcon aquila "
    "xverse kimi_k2 deepseek_v4 gpt_neox_japanese bitnet"
)
_FAMILIES: dict[str, _Family] = {name: _Family() for name in _PLAIN.split()} | {
    "mixtral": _Family(base=1e6),
    "gpt_neox": _Family(fraction=0.25),
    "stablelm": _Family(fraction=0.25),
    "phi": _Family(fraction=0.5),
    "nemotron": _Family(fraction=0.5),
    "glm": _Family(fraction=0.5),
    "glm4": _Family(fraction=0.5),
    "glm4_moe": _Family(fraction=0.5),
    "chatglm": _Family(fraction=0.5),
    "qwen3_next": _Family(fraction=0.25),
    "qwen3_5": _Family(fraction=0.25),
    "qwen3_5_moe": _Family(fraction=0.25),
    "qwen2_vl": _Family(base=1e6),
    "qwen2_5_vl": _Family(base=1e6),
    "qwen3_vl": _Family(base=5e5),
    "qwen3_vl_moe": _Family(base=5e5),
    "phimoe": _Family(base=1e6),
    "cohere": _Family(base=5e5),
    "cohere2": _Family(every=4, full_rotates=False),
    "exaone4": _Family(every=4, full_rotates=False),
    "exaone_moe": _Family(every=4, full_rotates=False),
    "afmoe": _Family(every=4, full_rotates=False),
    "gemma2": _Family(every=2),
    "gemma3": _Family(base=1e6, local_base=1e4, scales_sliding=False, every=6),
    "gemma3n": _Family(base=1e6, local_base=1e4, every=5),
    "gemma4": _Family(base=1e6, local_base=1e4, scales_sliding=False, every=6),
    "gpt_oss": _Family(base=150000.0, every=2),
    "olmo3": _Family(base=5e5, scales_sliding=False, every=4),
    "llama4": _Family(base=5e5, unrotated_every=4),
    "smollm3": _Family(base=2e6, unrotated_every=4),
    "mllama": _Family(base=5e5),
    "minimax_m2": _Family(base=5e6),
    "lfm2": _Family(base=1e6),
    "modernbert": _Family(base=160000.0, local_base=1e4, every=3, full_first=True),
    "persimmon": _Family(base=25000.0, fraction=0.5),
    "recurrent_gemma": _Family(fraction=0.5),
    "bamba": _Family(fraction=0.5),
    "nemotron_h": _Family(rotates=False),
    "granitemoehybrid": _Family(rotates=False),
    "kimi_linear": _Family(rotates=False),
    "jamba": _Family(rotates=False),
}


@dataclass(frozen=True)
class RotaryLayers:
    """The layers of one kind: how they turn queries and keys, and how far they see.

    kind: the type of layer, as in Hugging Face's ``layer_types``. layers: how many there are. rotated: channels d of a
    head that turn (for ProportionalScaling all that the frequencies are counted over). window: the furthest that a
    token sees, None for all before it.
    """

    kind: str
    layers: int
    base: float
    head_width: int
    rotated: int
    scaling: Scaling = Scaling()
    window: int | None = None

    def frequencies(self, length: int | None = None) -> Array:
        """Effective frequencies in sequences of that length, radians a token: (channel pairs that turn,) float64."""
        omega = self.scaling.frequencies(self.base, self.rotated, length).numpy()
        return np.asarray(omega[omega > 0], np.float64)

    def effective_base(self, length: int | None = None) -> float:
        """B_eff = 1 / slowest effective frequency, tokens a radian."""
        return 1 / slowest(self.frequencies(length))

    @property
    def channels(self) -> float:
        """As many rotated channels would give the slowest frequency of these, were none at rest: d of the exact forms.

        With k pairs turning of d/2 that frequency is base^(-2 (k - 1) / d), unscaled.
        """
        return 2 / (1 - 2 * (len(self.frequencies()) - 1) / self.rotated)

    def distance(self, length: int) -> int:
        """How far back a token of these layers looks in a context of that length."""
        return min(length, self.window or length)


@dataclass(frozen=True)
class RotaryModel:
    """A model as the bounds see it.

    length: the context that it promises, in tokens. original_length: that of its training before it was stretched,
    where the configuration says. layers: of all kinds; unrotated: those without RoPE (other mixers, NoPE).
    dtype: the number format of its weights. notes: what a reader must know to trust the numbers.
    """

    name: str
    model_type: str
    length: int
    layers: int
    unrotated: int
    kinds: tuple[RotaryLayers, ...]
    original_length: int | None = None
    dtype: str | None = None
    notes: tuple[str, ...] = ()


def read_rotary(source: Settings | str | Path) -> RotaryModel:
    """The rotary facts of a configuration: its content, a config.json, a folder that holds one, or a Hugging Face id.

    Raises FormariumError, in one sentence, where there is none, where it is broken, and where it describes no RoPE.
    """
    if isinstance(source, Mapping):
        return _read(source, str(source.get("_name_or_path") or source.get("model_type") or "configuration"))
    path = Path(source)
    if path.is_dir():
        path = path / "config.json"
    elif not path.exists() and _is_identifier(str(source)):
        path = fetch(str(source))
    settings = read_object(path, "model configuration")
    own_name = path.resolve().parent.name if path.name == "config.json" else path.stem
    name = settings.get("_name_or_path") or (own_name if Path(source).exists() else source)
    return _read(settings, str(name))


def _is_identifier(text: str) -> bool:
    return bool(re.fullmatch(r"[\w.-]+(/[\w.-]+)?", text)) and not text.endswith(".json") and not text.startswith(".")


def fetch(identifier: str) -> Path:
    """config.json of a model on the Hugging Face hub, from the local cache where it is there.

    Raises FormariumError in one paragraph without network, for an unknown or closed model, and without the package.
    """
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise FormariumError(
            f"{identifier!r} is no file or folder here, and to fetch it from Hugging Face the package huggingface_hub "
            "is needed: pip install huggingface_hub"
        ) from None
    notice(f"fetching config.json of {identifier} from Hugging Face")
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)  # its retries are not for the reader
    try:
        return Path(hf_hub_download(identifier, "config.json"))
    except Exception as error:  # the hub's own errors, those of its transport, and of the disk
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(
            f"{identifier!r} is no file or folder here, and its config.json could not be fetched from Hugging Face: "
            f"{reason}"
        ) from None
    finally:
        logger.setLevel(level)


def scaling_from(parameters: Settings, length: int | None = None) -> Scaling:
    """The scaling that ``rope_scaling`` or ``rope_parameters`` describes, under any of its published spellings.

    length: max_position_embeddings, which stands in for an original length that is not given. ConfigError for a type
    that is not known and for one that lacks a number it needs.
    """
    kind = _scaling_type(parameters)

    def given(name: str) -> float | None:
        value = _number(parameters, name)
        if value is not None and value <= 0:
            raise ConfigError(f"{name} of this configuration's rope scaling is {value:g}, which is not above 0")
        return value

    def needed(name: str, value: float | None = None) -> float:
        if (found := given(name) or value) is None:
            raise ConfigError(f"the rope scaling {kind!r} of this configuration lacks {name}")
        return found

    def factors(name: str) -> tuple[float, ...]:
        values = parameters.get(name)
        if not isinstance(values, list) or not all(isinstance(v, int | float) and v > 0 for v in values):
            raise ConfigError(
                f"the rope scaling {kind!r} of this configuration lacks {name}, a list of numbers above 0"
            )
        return tuple(map(float, values))

    if kind == "default":
        return Scaling()
    if kind == "linear":
        return LinearScaling(needed("factor"))
    if kind == "proportional":
        return ProportionalScaling(_number(parameters, *_FRACTION) or 1.0, given("factor") or 1.0)
    original = max(int(needed("original_max_position_embeddings", length)), 1)
    if kind == "dynamic":
        return DynamicNTK(needed("factor"), original)
    stretch = length / original if length else None
    if kind == "yarn":
        return YaRN(
            factor=needed("factor", stretch),
            original_length=original,
            beta_fast=given("beta_fast") or 32.0,
            beta_slow=given("beta_slow") or 1.0,
            mscale=_number(parameters, "mscale"),
            mscale_all_width=_number(parameters, "mscale_all_dim"),
            given_attention_factor=_number(parameters, "attention_factor"),
            truncate=bool(parameters.get("truncate", True)),
        )
    if kind == "llama3":
        return Llama3(needed("factor"), needed("low_freq_factor"), needed("high_freq_factor"), original)
    return LongRoPE(
        short_factors=factors("short_factor"),
        long_factors=factors("long_factor"),
        original_length=original,
        factor=needed("factor", stretch),
        given_attention_factor=_number(parameters, "attention_factor"),
    )


_TYPES = ("default", "linear", "dynamic", "yarn", "llama3", "longrope", "proportional")
_OTHER_TYPES = {"su": "longrope", "mrope": "default", "none": "default", "deepseek_yarn": "yarn", "ntk": "dynamic"}
_BY_KEY = {"long_factor": "longrope", "low_freq_factor": "llama3", "beta_fast": "yarn", "factor": "linear"}


def _scaling_type(parameters: Settings) -> str:
    given = parameters.get("rope_type") or parameters.get("type")
    if given is None:
        return next((kind for key, kind in _BY_KEY.items() if parameters.get(key) is not None), "default")
    kind = _OTHER_TYPES.get(str(given), str(given))
    if kind not in _TYPES:
        raise ConfigError(f"there is no rope scaling {given!r}{suggestion(str(given), _TYPES)}")
    return kind


def _number(settings: Settings, *names: str) -> float | None:
    """The first of these entries that is given; ConfigError where it is no number."""
    name = _named(settings, names)
    value = settings.get(name)
    if value is None or isinstance(value, list):  # a list has one number a layer, and is read by who wants those
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigError(f"{name} of this configuration is {value!r}, not a number")
    return float(value)


def _named(settings: Settings, names: tuple[str, ...]) -> str:
    """The first of these entries that is given; the first of all where none is."""
    return next((name for name in names if settings.get(name) is not None), names[0])


def _count(settings: Settings, *names: str) -> int | None:
    value = _number(settings, *names)
    if value is not None and value != int(value):
        raise ConfigError(f"{_named(settings, names)} of this configuration is {value:g}, not a whole number")
    return None if value is None else int(value)


def _needed(settings: Settings, *names: str, most: int | None = None) -> int:
    value = _count(settings, *names)
    if value is None:
        raise ConfigError(f"this configuration lacks {names[0]}, which the bounds need")
    if value < 1 or (most and value > most):
        raise ConfigError(f"this configuration has {value} for {names[0]}, which is no model's")
    return value


def _read(settings: Settings, name: str) -> RotaryModel:
    if "formarium" in settings and isinstance(settings.get("model"), Mapping):
        return _own(settings["model"], name)
    text = _text_model(settings)
    family_name = str(text.get("model_type") or settings.get("model_type") or "")
    family = _FAMILIES.get(family_name.removesuffix("_text"))
    parameters = _parameters(text)
    _refuse_unrotated(text, parameters, family, family_name)
    layers = _needed(text, *_LAYERS, most=_MOST_LAYERS)
    length = _needed({**settings, **text}, *_LENGTH, most=MOST_TOKENS)
    reader = _Reader(text, parameters, family or _Family(), length)
    if family is None and reader.silent:
        raise ConfigError(f"this configuration (model type {family_name!r}) names no base of its rotary embedding")
    if family is not None and not family.rotates and text.get("position_embedding_type") is None:
        reader.notes.append(
            f"the public code of {family_name} turns nothing, although its configuration names a base: these numbers "
            "hold for code that does"
        )
    kinds = reader.kinds(layers)
    scaled = (k.scaling for k in kinds if isinstance(k.scaling, DynamicNTK | YaRN | Llama3 | LongRoPE))
    dtypes = (part.get(key) for part in (settings, text) for key in ("torch_dtype", "dtype"))
    return RotaryModel(
        name=name,
        model_type=family_name,
        length=length,
        layers=layers,
        unrotated=layers - sum(kind.layers for kind in kinds),
        kinds=kinds,
        original_length=_count(text, "original_max_position_embeddings", "initial_context_length")
        or next((scaling.original_length for scaling in scaled), None),
        dtype=next((str(dtype).removeprefix("torch.") for dtype in dtypes if dtype), None),
        notes=tuple(dict.fromkeys(reader.notes)),
    )


def _own(model: Settings, name: str) -> RotaryModel:
    """The facts of a decoder of ours, from the description that it saves."""
    config = config_from_dict(model["position"]) if isinstance(model.get("position"), Mapping) else None
    parts = config.parts if isinstance(config, Combined.Config) else (config,)
    rope = next((part for part in parts if isinstance(part, RoPE.Config)), None)
    if rope is None:
        raise ConfigError(f"this {model.get('type', 'model')} has no rotary position embedding")
    depth = _needed(model, "depth", most=_MOST_LAYERS)
    length = _needed(model, "max_length", most=MOST_TOKENS)
    head = _count(model, "head_width") or _needed(model, "width") // _needed(model, "heads")
    rotated = _rotated(int(head * rope.fraction), head)
    return RotaryModel(
        name, "formarium", length, depth, 0, (RotaryLayers(FULL, depth, rope.base, head, rotated, rope.scaling),)
    )


def _text_model(settings: Settings) -> Settings:
    """The part of a configuration that describes the language model."""
    inner = next((settings[key] for key in _NESTED if isinstance(settings.get(key), Mapping)), None)
    if inner is not None and (_number(settings, *_LAYERS) is None or _number(inner, *_LAYERS) is not None):
        return _text_model(inner)
    # MPT and DBRX keep what concerns attention in a dictionary of its own.
    attention = settings.get("attn_config")
    return {**settings, **attention} if isinstance(attention, Mapping) else settings


def _parameters(text: Settings) -> dict[str, Any]:
    """What the configuration says of its rotation in a dictionary, under the new or the old name of it."""
    found: dict[str, Any] = {}
    for key in ("rope_parameters", "rope_scaling"):
        value = text.get(key)
        if isinstance(value, Mapping):
            found |= value
        elif value is not None:
            raise ConfigError(f"{key} of this configuration is {value!r}, not names and values")
    return found


def _refuse_unrotated(text: Settings, parameters: Settings, family: _Family | None, family_name: str) -> None:
    """ConfigError, saying why, for a configuration whose model has no rotary embedding."""
    embedding = text.get("position_embedding_type")
    off = {"mla_use_nope": True, "use_mem_rope": False, "use_rope": False, "use_rotary": False, "rope": False}
    names = (*_BASE, *_LOCAL_BASE, *_FRACTION, *_ROTATED, "rope_ratio", "qk_rope_head_dim", "layer_rope_theta")
    reason = ""
    if embedding is not None and str(embedding).lower() not in ("rope", "rotary"):
        reason = f"its position_embedding_type is {embedding!r}"
    elif text.get("alibi") is True:
        reason = "it uses ALiBi"
    elif switch := next((name for name, value in off.items() if text.get(name) is value), None):
        reason = f"its {switch} is {str(off[switch]).lower()}"
    elif (family is None or not family.rotates) and not parameters and all(text.get(n) is None for n in names):
        reason = "it names no base, no rotated channels and no scaling"
    if reason:
        kind = f" (model type {family_name!r})" if family_name else ""
        raise ConfigError(f"this configuration{kind} describes no rotary embedding: {reason}")


def _rotated(rotated: int, head: int) -> int:
    if not 4 <= rotated <= min(head, _MOST_CHANNELS) or rotated % 2:
        raise ConfigError(f"RoPE turns at least two pairs of a head's channels, which {rotated} of {head} are not")
    return rotated


class _Reader:
    """Goes through the layers of one configuration; what a reader must know of it gathers in ``notes``."""

    def __init__(self, text: Settings, parameters: dict[str, Any], family: _Family, length: int) -> None:
        self.text, self.parameters, self.family, self.length = text, parameters, family, length
        # One rotation for each type of layer: None where such layers do not turn.
        self.nested = {
            key: value
            for key, value in parameters.items()
            if isinstance(value, Mapping) or (value is None and key.endswith("_attention"))
        }
        named = [value.get("rope_theta") for value in (parameters, *self.nested.values()) if value]
        named += [text.get(key) for key in (*_BASE, *_LOCAL_BASE, "rope_ratio", "layer_rope_theta")]
        self.silent = all(base is None for base in named)
        self.notes: list[str] = []
        if text.get("dual_chunk_attention_config"):
            self.notes.append("dual chunk attention keeps rotary distances below its chunk; here they run to the end")
        if parameters.get("mrope_section"):
            self.notes.append("the channels are shared out among the axes of images; these numbers are those of text")

    def kinds(self, layers: int) -> tuple[RotaryLayers, ...]:
        """The kinds of layers that rotate, in the order of their first layer."""
        text, family = self.text, self.family
        if family.unrotated_every and "attention_chunk_size" in text and not isinstance(text.get("layer_types"), list):
            types = periodic(layers, family.unrotated_every, CHUNKED)
        else:
            types = layer_types(text, layers, self.length, family.every, family.full_first)
        turns = rotating(text, types, family.unrotated_every, family.full_rotates)
        lists = (text[k] for k in ("rope_theta", "layer_rope_theta") if isinstance(text.get(k), list))
        bases: list[Any] = next(lists, [])
        if bases and len(bases) < layers:
            raise ConfigError(f"this configuration lists the bases of {len(bases)} layers, but has {layers} layers")
        found: dict[tuple[str, float | None], int] = {}
        for index, (kind, turning) in enumerate(zip(types, turns, strict=True)):
            if turning and self.nested.get(kind, {}) is not None:
                key = kind, _number({"rope_theta": bases[index]}, "rope_theta") if bases else None
                found[key] = found.get(key, 0) + 1
        if not found:
            raise ConfigError("none of the layers that this configuration describes has a rotary embedding")
        return tuple(self.layers_of(kind, count, base) for (kind, base), count in found.items())

    def layers_of(self, kind: str, count: int, base: float | None) -> RotaryLayers:
        """The facts of the layers of one kind; ``base`` where there is a list of them."""
        parameters, own_base, scaled = self.rotation(kind)
        base = base or own_base or self.base(parameters)
        head, rotated = self.widths(kind, parameters)
        scaling = self.scaling(parameters) if scaled else Scaling()
        if isinstance(scaling, DynamicNTK) and (alpha := _number(parameters, "alpha")):
            # Hunyuan's dialect: the base is stretched once and for all lengths.
            base, scaling = base * alpha ** (rotated / (rotated - 2)), Scaling()
        layers = RotaryLayers(kind, count, _base(base), head, rotated, scaling, self.window(kind))
        if resting := rotated // 2 - len(layers.frequencies(self.length)):
            self.notes.append(f"{resting} of {rotated // 2} channel pairs of {kind} rest; the others alone are judged")
        return layers

    def rotation(self, kind: str) -> tuple[dict[str, Any], float | None, bool]:
        """What is said of the rotation in layers of that kind, a base of their own, and whether they are scaled."""
        parameters = {k: v for k, v in self.parameters.items() if k not in self.nested}
        local = kind == SLIDING
        if self.nested:
            labels = (kind, "main" if local else "compress", FULL, *self.nested)
            own = next((value for label in labels if (value := self.nested.get(label))), {})
            return parameters | dict(own), None, True
        if compressed := _number(self.text, "compress_rope_theta"):
            # Layers that compress their keys have a base of their own, and they alone are scaled.
            return parameters, None if local else compressed, not local
        if local and (own_base := _number(self.text, *_LOCAL_BASE) or self.family.local_base):
            return parameters, own_base, self.family.scales_sliding and "swa_rope_theta" not in self.text
        return parameters, None, not local or self.family.scales_sliding

    def base(self, parameters: Settings) -> float:
        given = _number(parameters, "rope_theta") or _number(self.text, *_BASE)
        if given is None and (ratio := _number(self.text, "rope_ratio")):
            given = 10000.0 * ratio  # ChatGLM's dialect
        if given is None:
            self.notes.append(f"no base is given; {self.family.base:g} is what the public code of this type takes")
        return self.family.base if given is None else given

    def widths(self, kind: str, parameters: Settings) -> tuple[int, int]:
        """Channels of a head, and how many of them turn."""
        text = self.text
        own = {SLIDING: ("swa_head_dim",), FULL: ("global_head_dim",)}.get(kind, ())
        head = _count(text, *own, *_HEAD_WIDTH)
        if latent := _count(text, "qk_rope_head_dim"):
            still = _count(text, "qk_nope_head_dim")
            return max(latent + still if still else head or 0, latent), _rotated(latent, latent)
        head = head or _needed(text, *_WIDTH) // _needed(text, *_HEADS)
        fraction = _number(parameters, *_FRACTION)
        fraction = _number(text, *_FRACTION) if fraction is None else fraction
        if fraction is not None and not 0 < fraction <= 1:
            raise ConfigError(f"this configuration turns a share of {fraction:g} of the channels, not one in (0, 1]")
        if _scaling_type(parameters) == "proportional":
            return head, _rotated(head, head)
        if fraction is None and (rotated := _count(text, *_ROTATED)):
            return head, _rotated(rotated, head)
        if fraction is None and self.family.fraction != 1:
            fraction = self.family.fraction
            self.notes.append(f"no share of rotated channels is given; {fraction:g} is what the public code takes")
        return head, _rotated(int(head * (fraction or 1.0)), head)

    def scaling(self, parameters: Settings) -> Scaling:
        """The scaling, with a note on whatever of it is not plain."""
        # A file that gives the original length twice means the one outside.
        outer = _number(self.text, "original_max_position_embeddings")
        given = {**parameters, **({"original_max_position_embeddings": outer} if outer else {})}
        given.setdefault("partial_rotary_factor", _number(self.text, *_FRACTION))
        scaling = scaling_from(given, self.length)
        if not (parameters.get("rope_type") or parameters.get("type")) and type(scaling) is not Scaling:
            self.notes.append(f"the scaling names no type; by its entries it is read as {type(scaling).__name__}")
        if isinstance(scaling, YaRN) and round(reach := scaling.original_length * scaling.factor) != self.length:
            stretched = f"stretches {scaling.original_length:,} tokens to {reach:,.0f}"
            self.notes.append(f"YaRN {stretched}, while the configuration promises {self.length:,}")
        return scaling

    def window(self, kind: str) -> int | None:
        """How far layers of that kind see, if less than everything."""
        if kind == CHUNKED:
            return _count(self.text, "attention_chunk_size")
        return window(self.text, self.length) if kind == SLIDING else None


def with_changes(
    model: RotaryModel,
    base: float | None = None,
    rotated: int | None = None,
    layers: int | None = None,
    length: int | None = None,
) -> RotaryModel:
    """The model with some facts replaced in all its kinds of layers: what if it had that base, that many layers?"""
    kinds = tuple(
        dataclasses.replace(
            kind,
            base=_base(base) if base is not None else kind.base,
            rotated=kind.rotated if rotated is None else _rotated(rotated, max(rotated, kind.head_width)),
            head_width=max(rotated or 0, kind.head_width),
            layers=kind.layers if layers is None else _within(layers, _MOST_LAYERS, "layers"),
        )
        for kind in model.kinds
    )
    length = model.length if length is None else _within(length, MOST_TOKENS, "tokens")
    return dataclasses.replace(model, kinds=kinds, length=length)


def plain_model(base: float, rotated: int, layers: int, length: int) -> RotaryModel:
    """A model with one kind of unscaled layers, from four numbers; ConfigError where they are none of a model."""
    layers, length = _within(layers, _MOST_LAYERS, "layers"), _within(length, MOST_TOKENS, "tokens")
    kind = RotaryLayers(FULL, layers, _base(base), rotated, _rotated(rotated, rotated))
    return RotaryModel(f"base {base:g}", "", length, layers, 0, (kind,))


def _base(base: float) -> float:
    if not (math.isfinite(base) and base > 1):
        raise ConfigError(f"the base of a rotary embedding is above 1, not {base:g}")
    return base


def _within(count: int, most: int, what: str) -> int:
    if not 1 <= count <= most:
        raise ConfigError(f"{count} {what} are no model's: from 1 to {most}")
    return count
