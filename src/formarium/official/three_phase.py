"""Three-Phase Transformer: the published decoder as a setting of ours, and its parts by themselves."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from formarium.context import Context
from formarium.models.decoder import Decoder
from formarium.models.stack import enter
from formarium.official.adapter import Adapter, State
from formarium.parts.between.phase_rotation import PhaseRotation, stripe_sum
from formarium.parts.channel_mixers.feed_forward import SwiGLU
from formarium.parts.norms.rms_norm import RMSNorm
from formarium.parts.positions.combined import Combined
from formarium.parts.positions.horn import Horn
from formarium.parts.positions.rotary import RoPE

Config = Mapping[str, Any]


def _decoder(config: Config) -> Decoder:
    phases = config["num_phases"]
    return Decoder(
        Decoder.Config(
            vocabulary=config["vocab_size"],
            width=config["d_model"],
            depth=config["n_layers"],
            heads=config["n_q_heads"],
            kv_heads=config["n_kv_heads"],
            position=Combined.Config((Horn.Config(), RoPE.Config(base=config["rope_base"]))),
            channel_mixer=SwiGLU.Config(hidden=config["d_ff"]),
            norm=RMSNorm.Config(eps=config["norm_eps"], groups=phases),
            between=PhaseRotation.Config(phases=phases),
            tied=False,
        )
    )


def _model(config: Config, state: State, run: Callable[..., Any]) -> Adapter:
    def translate(state: State) -> dict[str, Tensor]:
        weights = {
            "stem.weight": state["embedding.token_emb.weight"],
            "norm.weight": _gains(state, "norm_f.", config),
            "head.weight": state["head.weight"],
        }
        for layer in range(config["n_layers"]):
            ours = theirs = f"blocks.{layer}."
            weights |= {
                f"{ours}token_mixer.qkv.weight": torch.cat([state[f"{theirs}attn.{name}.weight"] for name in "qkv"]),
                f"{ours}token_mixer.out.weight": state[f"{theirs}attn.o.weight"],
                f"{ours}channel_mixer.up.weight": torch.cat(
                    [state[f"{theirs}ff.gate.weight"], state[f"{theirs}ff.up.weight"]]
                ),
                f"{ours}channel_mixer.down.weight": state[f"{theirs}ff.down.weight"],
                f"{ours}token_norm.weight": _gains(state, f"{theirs}n1.", config),
                f"{ours}channel_norm.weight": _gains(state, f"{theirs}n2.", config),
                f"{ours}between.angles": state[f"{theirs}pr.theta"],
            }
        return weights

    return Adapter(_decoder(config), translate, state, run)


def _gains(state: State, prefix: str, config: Config) -> Tensor:
    return torch.cat([state[f"{prefix}norms.{stripe}.weight"] for stripe in range(config["num_phases"])])


def _scores(config: Config, state: State) -> Adapter:
    def run(model: Decoder, tokens: Tensor, targets: Tensor) -> dict[str, Tensor]:
        logits = model(tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=config["ignore_index"])
        return {"logits": logits, "loss": loss}

    return _model(config, state, run)


def _states(config: Config, state: State) -> Adapter:
    def run(model: Decoder, tokens: Tensor) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}

        def watch(layer: int) -> Callable[..., None]:
            return lambda module, inputs, output: seen.update({f"after_rotation.{layer}": output})

        rotations = [module for module in model.modules() if isinstance(module, PhaseRotation)]
        handles = [rotation.register_forward_hook(watch(layer)) for layer, rotation in enumerate(rotations)]
        try:
            model(tokens)
        finally:
            for handle in handles:
                handle.remove()
        context = Context(positions=torch.arange(tokens.shape[1], device=tokens.device)[None])
        embedding, _ = enter(model.stem(tokens), context, model.position)
        zero_sum = stripe_sum(embedding, config["num_phases"]).square().mean()
        return {"embedding": embedding, "zero_sum_loss": zero_sum, **seen}

    return _model(config, state, run)


def _loss(outputs: Mapping[str, Tensor]) -> Tensor:
    return outputs["loss"]


def _rotation(config: Config, state: State) -> Adapter:
    rotation = PhaseRotation(config["d_model"], config=PhaseRotation.Config(phases=config["num_phases"]))
    return Adapter(
        rotation, lambda state: {"angles": state["theta"]}, state, lambda rotation, x: {"rotated": rotation(x)}
    )


def _norm(config: Config, state: State) -> Adapter:
    norm = RMSNorm(config["d_model"], RMSNorm.Config(eps=config["norm_eps"], groups=config["num_phases"]))
    return Adapter(
        norm, lambda state: {"weight": _gains(state, "", config)}, state, lambda norm, x: {"normed": norm(x)}
    )


def _start(config: Config, state: State) -> Callable[[], dict[str, Tensor]]:
    settings = PhaseRotation.Config(phases=config["num_phases"])
    rotation = PhaseRotation(config["d_model"], layer=config["layer_idx"], depth=config["n_layers"], config=settings)
    return lambda: {"theta_init": rotation.angles}


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    "model": _scores,
    "model_states": _states,
    "model_gradients": lambda config, state: _scores(config, state).gradients(_loss),
    "phase_rotation": _rotation,
    "phase_norm": _norm,
    "theta_init": _start,
}
