"""The type of attention in each layer of a language model, out of the many spellings of its config.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from formarium.config import ConfigError

FULL, SLIDING, CHUNKED, LINEAR = "full_attention", "sliding_attention", "chunked_attention", "linear_attention"
OTHER = "other"

# By how many tokens a layer of DeepSeek-V4 presses into one.
COMPRESSED = {0: SLIDING, 4: "compressed_sparse_attention", 128: "heavily_compressed_attention"}
_SPELLINGS = {
    FULL: "attention attn full global global_attention hybrid",
    SLIDING: "sliding sliding_window local local_attention",
}
_NAMES = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_WINDOW = ("sliding_window", "sliding_window_size", "attention_window_size")


def layer_types(
    settings: Mapping[str, Any], layers: int, length: int, every: int | None = None, first: bool = False
) -> list[str]:
    """One name a layer: Hugging Face's where it has one.

    length: the context; a window that holds it all is none. every: full attention in each layer of that number and
    sliding in the others, where the settings do not say; first: it comes first in its group, not last. ConfigError for
    a list shorter than the model.
    """
    found = _listed(settings, layers)
    period = settings.get("global_attn_every_n_layers") or settings.get("sliding_window_pattern") or every
    if found is None and isinstance(period, str):
        found = [SLIDING if period[i % len(period)] == "L" else FULL for i in range(layers)]
    elif found is None and window(settings, length) is None:
        found = [FULL] * layers
    elif found is None and isinstance(period, int) and period > 0:
        found = periodic(layers, period, SLIDING, first)
    elif found is None:
        # One window for all, or, in Qwen's dialect, for the layers from max_window_layers on.
        full = settings.get("max_window_layers") if settings.get("use_sliding_window") is True else 0
        full = min(layers, full) if isinstance(full, int) else 0
        found = [FULL] * full + [SLIDING] * (layers - full)
    if len(found) < layers:
        raise ConfigError(f"this configuration lists the types of {len(found)} layers, but has {layers} layers")
    # Further entries are of layers that only predict the tokens after the next.
    return [_NAMES.get(kind, kind) for kind in map(str, found[:layers])]


def _listed(settings: Mapping[str, Any], layers: int) -> list[Any] | None:
    """The types where the settings list them layer by layer or give the pattern of the listing."""
    for key in ("layer_types", "layers_block_type"):
        if isinstance(settings.get(key), list):
            return list(settings[key])
    if isinstance(pattern := settings.get("hybrid_override_pattern"), str):
        return [FULL if letter == "*" else OTHER for letter in pattern]
    if isinstance(slides := settings.get("hybrid_layer_pattern"), list):
        return [SLIDING if slide else FULL for slide in slides]
    if isinstance(ratios := settings.get("compress_ratios"), list):
        return [COMPRESSED.get(ratio, "compressed_attention") for ratio in ratios]
    if isinstance(softmax := settings.get("attn_type_list"), list):
        return [FULL if soft else LINEAR for soft in softmax]
    if isinstance(indices := settings.get("attn_layer_indices"), list):
        return [FULL if i in indices else OTHER for i in range(layers)]
    if isinstance(blocks := settings.get("block_types"), list) and blocks:
        return [blocks[i % len(blocks)] for i in range(layers)]
    if isinstance(interval := settings.get("full_attention_interval"), int) and interval > 0:
        return periodic(layers, interval, LINEAR)
    return None


def periodic(layers: int, every: int, other: str, first: bool = False) -> list[str]:
    """Full attention in each layer of that number, the last or the first of its group, and the other type elsewhere."""
    return [other if (i + (0 if first else 1)) % every else FULL for i in range(layers)]


def rotating(settings: Mapping[str, Any], types: Sequence[str], every: int | None, full: bool) -> list[bool]:
    """Whether each layer turns queries and keys.

    every: the layer of that number does not, where the settings do not list them. full: whether full attention does
    beside sliding layers.
    """
    marks = settings.get("no_rope_layers")  # despite its name 1 where a layer rotates
    every = settings.get("no_rope_layer_interval") or every
    if not (isinstance(marks, list) and len(marks) == len(types)):
        marks = [not isinstance(every, int) or (i + 1) % every for i in range(len(types))]
    resting = FULL if not full and SLIDING in types else None
    return [bool(mark) and attends(kind) and kind != resting for mark, kind in zip(marks, types, strict=True)]


def attends(kind: str) -> bool:
    """Whether a layer of that type compares queries with keys."""
    return kind.endswith("attention") and kind != LINEAR


def window(settings: Mapping[str, Any], length: int) -> int | None:
    """How many tokens back a sliding layer sees, of ``length``; None where it slides nowhere or sees them all."""
    both_sides = settings.get("local_attention")
    found = both_sides // 2 if isinstance(both_sides, int) else None
    found = next((settings[k] for k in _WINDOW if isinstance(settings.get(k), int)), found)
    if found is not None and found < 0:
        raise ConfigError(f"this configuration has a window of {found} tokens, which is no model's")
    if found is None or not 0 < found < length or settings.get("use_sliding_window") is False:
        return None
    return int(found)
