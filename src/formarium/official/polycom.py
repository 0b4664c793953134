"""PolyCom: the activations of the published code (weights in descending power) and its two-matrix feed-forward."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from formarium.official.adapter import Adapter, State, against_cotangent
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.channel_mixers.polynomial import PolyNorm, PolyReLU, _Polynomial

Config = Mapping[str, Any]


def _activation(config: Config, kind: str) -> _Polynomial.Config:
    if kind == "polyrelu":
        return PolyReLU.Config(order=config["order"])
    return PolyNorm.Config(order=config["order"], eps=config["eps"])


def _coefficients(state: State, ours: str = "", official: str = "") -> dict[str, Tensor]:
    # Published weights run from the highest power down; ours from the linear term up.
    return {f"{ours}weight": state[f"{official}weight"].flip(0), f"{ours}bias": state[f"{official}bias"]}


def _bare(kind: str) -> Callable[[Config, State], Adapter]:
    return lambda config, state: Adapter(_activation(config, kind).build(), _coefficients, state, _call)


def _ffn(config: Config, state: State) -> Adapter:
    hidden, width = state["dense_h_to_4h.weight"].shape
    activation = _activation(config, config["activation"])
    mixer = FeedForward(width, FeedForward.Config(activation=activation, hidden=hidden))

    def translate(state: State) -> dict[str, Tensor]:
        return {
            "up.weight": state["dense_h_to_4h.weight"],
            "down.weight": state["dense_4h_to_h.weight"],
            **_coefficients(state, "activation.", "activation_func."),
        }

    return Adapter(mixer, translate, state, _call)


def _call(module: torch.nn.Module, x: Tensor) -> dict[str, Tensor]:
    return {"y": module(x)}


def _blocks(config: Config, state: State) -> Adapter:
    """PolyNorm of a matrix that is stored as square blocks, as experts without dropped tokens keep it."""
    rows, columns, size = config["block_rows"], config["block_cols"], config["block_size"]

    def run(module: torch.nn.Module, blocks: Tensor) -> dict[str, Tensor]:
        whole = blocks.view(rows, columns, size, size).transpose(1, 2).reshape(rows * size, columns * size)
        mixed: Tensor = module(whole)
        return {"blocks": mixed.view(rows, size, columns, size).transpose(1, 2).reshape_as(blocks)}

    return Adapter(_activation(config, "polynorm").build(), _coefficients, state, run)


def _gradients(make: Callable[[Config, State], Adapter]) -> Callable[[Config, State], Callable[..., Any]]:
    return lambda config, state: make(config, state).gradients(against_cotangent)


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    "polynorm": _bare("polynorm"),
    "polyrelu": _bare("polyrelu"),
    "ffn": _ffn,
    "polynorm_blocks": _blocks,
    "polynorm_gradients": _gradients(_bare("polynorm")),
    "polyrelu_gradients": _gradients(_bare("polyrelu")),
    "ffn_gradients": _gradients(_ffn),
}
