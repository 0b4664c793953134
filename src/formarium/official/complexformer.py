"""ComplexFormer: the complex multi-head attention of the author's code, computed through the factorised score."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from formarium.context import Context
from formarium.official.adapter import Adapter, State, against_cotangent
from formarium.parts.positions.euler_rotary import EulerRoPE
from formarium.parts.positions.rotary import RoPE
from formarium.parts.token_mixers.attend import attention_weights
from formarium.parts.token_mixers.attention import Attention

Config = Mapping[str, Any]


def _layer(config: Config, state: State, causal: bool, run: Callable[..., Any]) -> Adapter:
    width, heads = config["hidden_size"], config["num_heads"]
    settings = EulerRoPE.Config(base=config["rope_base"], scale=config["scale"], eps=config["magnitude_eps"])
    layer = Attention(width, heads, position=EulerRoPE(width // heads, heads, config=settings), causal=causal)
    return Adapter(layer, _translate, state, run)


def _translate(state: State) -> dict[str, Tensor]:
    return {
        "qkv.weight": torch.cat([state[f"W_{name}.weight"] for name in "qkv"]),
        "out.weight": state["W_o.weight"],
        "position.slope": state["delta_params"],
        "position.offset": state["bias_params"],
    }


def _context(x: Tensor, past: int = 0) -> Context:
    places = torch.arange(past + x.shape[1], device=x.device)[None]
    return Context(positions=places[:, past:], key_positions=places, embeddings=x, past=past)


def _attention(config: Config, state: State) -> Adapter:
    causal = config["causal"]

    def run(layer: Attention, x: Tensor) -> dict[str, Tensor]:
        context = _context(x)
        queries, keys, _, _ = layer._project(x, context, None)
        return {"out": layer(x, context), "weights": attention_weights(queries, keys, causal=causal)}

    return _layer(config, state, causal, run)


def _decode(config: Config, state: State) -> Adapter:
    def run(layer: Attention, x: Tensor, prefill_len: Tensor) -> dict[str, Tensor]:
        batch, length, _ = x.shape
        memory = layer.new_state(batch, length, x)
        pieces, first = [], 0
        for last in range(max(int(prefill_len), 1), length + 1):
            piece = x[:, first:last]
            pieces.append(layer.step(piece, _context(piece, first), memory))
            first = last
        return {"out": torch.cat(pieces, dim=1)}

    return _layer(config, state, True, run)


def _frequencies(config: Config, state: State) -> Callable[[], dict[str, Tensor]]:
    rope = RoPE(config["hidden_size"] // config["num_heads"], RoPE.Config(base=config["rope_base"]))
    return lambda: {"freqs": rope.frequencies}


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    "attention": _attention,
    "decode": _decode,
    "frequencies": _frequencies,
    "attention_gradients": lambda config, state: _attention(config, state).gradients(against_cotangent),
}
