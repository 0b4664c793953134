"""CAT: no code was published; the modules are those of a direct evaluation of the reconstructed equations."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from formarium.block import Block
from formarium.context import Context
from formarium.official.adapter import Adapter, State
from formarium.parts import poincare_ball as ball
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.token_mixers.attention import Attention
from formarium.parts.token_mixers.geodesic_attention import GeodesicAttention
from formarium.parts.token_mixers.hyperbolic_attention import HyperbolicAttention
from formarium.parts.token_mixers.mixture import Mixture, TokenRouter
from formarium.parts.token_mixers.spherical_attention import SphericalAttention
from formarium.tasks.links.ranking import filtered_ranks

Config = Mapping[str, Any]


def _poincare(config: Config, state: State) -> Callable[..., dict[str, Tensor]]:
    c = config["curvature"]

    def run(v: Tensor, w: Tensor, weights: Tensor) -> dict[str, Tensor]:
        x, y = ball.exp0(v, c), ball.exp0(w, c)
        return {
            "exp0_v": x,
            "exp0_w": y,
            "log0_exp0_v": ball.log0(x, c),
            "mobius_add": ball.mobius_add(x, y, c),
            "dist": ball.distance(x, y, c),
            "gyromidpoint": ball.midpoint(x, weights, c),
        }

    return run


def _hyperbolic_settings(config: Config) -> HyperbolicAttention.Config:
    return HyperbolicAttention.Config(curvature=config["curvature"], aggregation=config["aggregation"])


def _attention(config: Config, state: State, branch: str) -> Adapter:
    surroundings = {"width": config["dim"], "heads": config["num_heads"]}
    layer: Attention | GeodesicAttention
    if branch == "euclidean":
        layer = Attention(**surroundings)
    elif branch == "hyperbolic":
        layer = HyperbolicAttention(**surroundings, config=_hyperbolic_settings(config))
    else:
        layer = SphericalAttention(**surroundings)

    def run(layer: Attention | GeodesicAttention, x: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        context = _context(x, mask)
        return {"out": layer(x, context), "weights": layer.weights(x, context)}

    return Adapter(layer, lambda state: _branch_weights(state, "", branch), state, run)


def _branch_weights(state: State, ours: str, branch: str) -> dict[str, Tensor]:
    weights = {
        f"{ours}qkv.weight": torch.cat([state[f"{branch}.{name}.weight"] for name in "qkv"]),
        f"{ours}out.weight": state[f"{branch}.o.weight"],
    }
    if branch != "euclidean":
        weights[f"{ours}beta"] = state[f"{branch}.beta"]
    return weights


def _context(x: Tensor, mask: Tensor | None) -> Context:
    return Context(positions=torch.arange(x.shape[1], device=x.device)[None], mask=mask, embeddings=x)


def _block(config: Config, state: State) -> Adapter:
    width, norm = config["dim"], LayerNorm.Config(config["ln_eps"])
    mixture = Mixture.Config(
        branches=(Attention.Config(), _hyperbolic_settings(config), SphericalAttention.Config()),
        router=TokenRouter.Config(hidden=len(state["router.0.weight"]), temperature=config["temperature"]),
    )
    feed_forward = FeedForward.Config(hidden=len(state["mlp.0.weight"]), bias=True)
    block = Block(
        mixture.build(width=width, heads=config["num_heads"]),
        feed_forward.build(width=width),
        (norm.build(width=width), norm.build(width=width)),
    )
    linear = {
        "token_norm": "norm1",
        "channel_norm": "norm2",
        "token_mixer.router.up": "router.0",
        "token_mixer.router.down": "router.2",
        "channel_mixer.up": "mlp.0",
        "channel_mixer.down": "mlp.2",
    }

    def translate(state: State) -> dict[str, Tensor]:
        weights = {
            f"{ours}.{kind}": state[f"{theirs}.{kind}"]
            for ours, theirs in linear.items()
            for kind in ("weight", "bias")
        }
        for index, branch in enumerate(("euclidean", "hyperbolic", "spherical")):
            weights |= _branch_weights(state, f"token_mixer.branches.{index}.", branch)
        return weights

    def run(block: Block, x: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        context = _context(x, mask)
        mixer = block.token_mixer
        assert isinstance(mixer, Mixture)
        return {"y": block(x, context), "router": mixer.shares(block.token_norm(x), context)}

    return Adapter(block, translate, state, run)


def _filtered_ranks(config: Config, state: State) -> Callable[..., dict[str, Tensor]]:
    def run(scores: Tensor, target: Tensor, known_true: Tensor) -> dict[str, Tensor]:
        rows, columns = known_true.nonzero(as_tuple=True)
        ranks = filtered_ranks(scores, target, rows, columns)
        return {
            "optimistic": ranks.optimistic,
            "pessimistic": ranks.pessimistic,
            "realistic": ranks.realistic,
            "mrr": torch.tensor(ranks.mean_reciprocal(), dtype=torch.float64),
            **{f"hits_at_{k}": torch.tensor(ranks.hits(k), dtype=torch.float64) for k in config["hits_at"]},
        }

    return run


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    "poincare_operations": _poincare,
    "euclidean_attention": lambda config, state: _attention(config, state, "euclidean"),
    "hyperbolic_attention": lambda config, state: _attention(config, state, "hyperbolic"),
    "spherical_attention": lambda config, state: _attention(config, state, "spherical"),
    "block": _block,
    "filtered_ranks": _filtered_ranks,
}
