"""CARoPE: no code was published; the modules are those of a direct evaluation of the paper's equations."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from formarium.official.adapter import Adapter, State
from formarium.parts.positions.context_aware_rotary import CARoPE
from formarium.parts.token_mixers.attend import attend

Config = Mapping[str, Any]


def _position(config: Config, state: State, run: Callable[..., Any]) -> Adapter:
    settings = CARoPE.Config(first_exponent=config["first_exponent"])
    position = CARoPE(state["weight"].shape[0], config["num_heads"], config["head_dim"], settings)
    return Adapter(position, lambda state: {"weight": state["weight"], "offset": state["bias"]}, state, run)


def _phases(config: Config, state: State) -> Adapter:
    def run(position: CARoPE, embedding: Tensor) -> dict[str, Tensor]:
        frequencies = position.frequencies(embedding)
        return {"freq": frequencies, "phase": position.phases(frequencies)}

    return _position(config, state, run)


def _attention(config: Config, state: State) -> Adapter:
    def run(position: CARoPE, embedding: Tensor, q: Tensor, k: Tensor, v: Tensor) -> dict[str, Tensor]:
        phases = position.phases(position.frequencies(embedding))
        q, k = position.turn(q, k, (phases.cos(), phases.sin()))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        out = attend(q, k, v, causal=config["causal"])
        return {"q_rotated": q, "k_rotated": k, "scores": scores, "out": out}

    return _position(config, state, run)


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {"phases": _phases, "attention": _attention}
