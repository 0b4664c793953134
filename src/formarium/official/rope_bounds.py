"""Bounds on RoPE's base: no code was published; the modules are a direct evaluation of the formulas, in float64."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from formarium.official.adapter import State
from formarium.theory import rope_bounds as bounds
from formarium.theory.rope_config import scaling_from

Config = Mapping[str, Any]
Module = Callable[..., dict[str, Tensor]]


def _bounds(config: Config, state: State) -> Module:
    """Closed forms over the outer product of their arguments, in the published and in the exact form."""

    def run(lengths: Tensor, layers: Tensor, epsilons: Tensor, dims: Tensor, eps_mach: Tensor) -> dict[str, Tensor]:
        length = lengths.numpy().reshape(-1, 1, 1)
        layer, epsilon, rotated = layers.numpy()[:, None], epsilons.numpy(), dims.numpy()
        published = bounds.stability_base(length, epsilon, layer)
        exact = bounds.stability_base(length[..., None], epsilon[:, None], layer[..., None], rotated)
        return {
            "alias_base_min": torch.from_numpy(bounds.aliasing_base(lengths.numpy())),
            "stability_base_min": torch.from_numpy(published),
            "stability_base_min_exact": torch.from_numpy(exact),
            "precision_base_max": torch.from_numpy(bounds.precision_wall(eps_mach.numpy())),
        }

    return run


def _frequencies(config: Config, length: int | None = None) -> np.ndarray:
    """Effective frequencies of a configuration, where sequences are ``length`` tokens long."""
    scaling = scaling_from({**config, "rope_type": config.get("rope_type") or "default"}, length)
    return scaling.frequencies(config["rope_theta"], config["rotary_dim"], length).numpy()


def _audit(config: Config, state: State) -> Module:
    """Effective frequencies after scaling, and what the bounds make of the slowest."""

    def run(length_layers: Tensor) -> dict[str, Tensor]:
        length, layers = (int(value) for value in length_layers)
        omega, epsilon = _frequencies(config, length), config["epsilon"]
        effective = 1 / bounds.slowest(omega)
        deep = bounds.stability_length(effective, epsilon, layers)
        reached = (bounds.aliasing_length(effective), bounds.stability_length(effective, epsilon), deep)
        audit = torch.tensor([effective, length / effective, *map(float, reached)], dtype=torch.float64)
        return {"inv_freq": torch.from_numpy(omega), "audit": audit}

    return run


def _similarity(config: Config, state: State) -> Module:
    """The cosine sum B(m) of Men et al. at m = 0 .. count - 1, and the largest length up to which none is negative."""

    def run() -> dict[str, Tensor]:
        omega, count = _frequencies(config), config["count"]
        return {
            "similarity": torch.from_numpy(bounds.similarity(omega, count)),
            "length": torch.tensor(bounds.similarity_length(omega, count - 1)),
        }

    return run


def _inv_freq(config: Config, state: State) -> Module:
    return lambda: {"inv_freq": torch.from_numpy(_frequencies(config))}


MODULES: dict[str, Callable[[Config, State], Module]] = {
    "bounds": _bounds,
    "audit": _audit,
    "similarity": _similarity,
    "inv_freq": _inv_freq,
}
