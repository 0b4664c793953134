"""URPE: the published post-norm encoder with its two relative tables, and its attention by itself."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.context import Context
from formarium.models.encoder import Encoder
from formarium.models.stack import places
from formarium.official.adapter import Adapter, State
from formarium.parts.channel_mixers.activations import GELU, ReLU
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.positions.combined import Combined
from formarium.parts.positions.pair_index import EachOffset, GivenIndex, PairIndex, SignedBuckets
from formarium.parts.positions.relative_bias import RelativeBias
from formarium.parts.positions.relative_factor import RelativeFactor
from formarium.parts.token_mixers.attend import attend
from formarium.parts.token_mixers.attention import Attention

Config = Mapping[str, Any]

_ACTIVATIONS: dict[str, BaseConfig] = {"gelu": GELU.Config(), "relu": ReLU.Config()}


def _linear(state: State, ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}{kind}": state[f"{theirs}{kind}"] for kind in ("weight", "bias")}


def _attention_weights(state: State, ours: str, theirs: str) -> dict[str, Tensor]:
    return {
        **{
            f"{ours}qkv.{kind}": torch.cat([state[f"{theirs}{name}_proj.{kind}"] for name in "qkv"])
            for kind in ("weight", "bias")
        },
        **_linear(state, f"{ours}out.", f"{theirs}out_proj."),
    }


def _attention(config: Config, state: State) -> Adapter:
    def run(
        layer: Attention, x: Tensor, rel_pos_bias: Tensor | None = None, ur_rel_pos_bias: Tensor | None = None
    ) -> dict[str, Tensor]:
        tokens = x.transpose(0, 1)
        context = Context(positions=torch.arange(tokens.shape[1], device=x.device)[None], embeddings=tokens)
        queries, keys, values, _ = layer._project(tokens, context, None)
        bias, factor = (
            None if table is None else table.unflatten(0, (-1, layer.heads))
            for table in (rel_pos_bias, ur_rel_pos_bias)
        )
        mixed = attend(queries, keys, values, bias=bias, factor=factor)
        return {"y": layer._merge(mixed).transpose(0, 1)}

    layer = Attention(config["embedding_dim"], config["num_attention_heads"], config=Attention.Config(bias=True))
    return Adapter(layer, lambda state: _attention_weights(state, "", ""), state, run)


def _encoder(config: Config, state: State) -> Adapter:
    tables = _tables(config)
    positions: list[BaseConfig] = []
    for feature, (name, kind) in enumerate(tables.items()):
        # The index of each pair is an input of the official encoder, a feature of the pair here.
        positions.append(kind(index=GivenIndex(count=len(state[name]), feature=feature)))
    if config["activation_fn"] not in _ACTIVATIONS:
        raise ConfigError(f"activation_fn is one of {', '.join(_ACTIVATIONS)}, not {config['activation_fn']!r}")
    encoder = Encoder(
        Encoder.Config(
            vocabulary=config["vocab_size"],
            width=config["embedding_dim"],
            depth=config["num_encoder_layers"],
            heads=config["num_attention_heads"],
            max_length=config["max_seq_len"],
            token_mixer=Attention.Config(bias=True),
            position=Combined.Config(tuple(positions)),
            channel_mixer=FeedForward.Config(
                activation=_ACTIVATIONS[config["activation_fn"]], hidden=config["ffn_embedding_dim"], bias=True
            ),
            norm=LayerNorm.Config(eps=config["layer_norm_eps"]),
            placement="post",
            stem_norm=True,
        )
    )

    def translate(state: State) -> dict[str, Tensor]:
        weights = {"stem.weight": state["embed_tokens.weight"], **_linear(state, "stem_norm.", "emb_layer_norm.")}
        for index, name in enumerate(tables):
            weights[f"position.parts.{index}.weight"] = state[name]
        for layer in range(config["num_encoder_layers"]):
            ours, theirs = f"blocks.{layer}.", f"layers.{layer}."
            weights |= _attention_weights(state, f"{ours}token_mixer.", f"{theirs}self_attn.")
            weights |= _linear(state, f"{ours}token_norm.", f"{theirs}self_attn_layer_norm.")
            weights |= _linear(state, f"{ours}channel_mixer.up.", f"{theirs}fc1.")
            weights |= _linear(state, f"{ours}channel_mixer.down.", f"{theirs}fc2.")
            weights |= _linear(state, f"{ours}channel_norm.", f"{theirs}final_layer_norm.")
        return weights

    def run(
        encoder: Encoder, ids: Tensor, bucket: Tensor | None = None, ur_bucket: Tensor | None = None
    ) -> dict[str, Tensor]:
        given = {"rp_bias.weight": bucket, "ur_rp_bias.weight": ur_bucket}
        indices = [index for name in tables if (index := given[name]) is not None]
        mask = ids != config["padding_idx"]
        x = encoder.embed(ids, mask)
        context = Context(
            positions=places(ids, None, mask), mask=mask, pairs=torch.stack(indices, dim=-1)[None] if indices else None
        )
        hidden = encoder.encode(x, context)
        return {"layer0_input": x, "last_hidden": hidden[mask] if config.get("real_tokens_only") else hidden}

    return Adapter(encoder, translate, state, run)


def _tables(config: Config) -> dict[str, Callable[..., BaseConfig]]:
    """The tables that the encoder has, by official name, and what each is to us."""
    tables: dict[str, Callable[..., BaseConfig]] = {}
    if config["rel_pos"]:
        tables["rp_bias.weight"] = RelativeBias.Config
    if config["ur_attn"]:
        tables["ur_rp_bias.weight"] = RelativeFactor.Config
    return tables


def _against_hidden(outputs: Mapping[str, Tensor], cotangent: Tensor) -> Tensor:
    return (outputs["last_hidden"] * cotangent).sum()


def _index(config: Config, state: State) -> Callable[[], dict[str, Tensor]]:
    length = config["max_seq_len"]
    index: PairIndex = EachOffset(length)
    if not config["unique"]:
        index = SignedBuckets(config["num_buckets"], config["max_distance"], length)

    def run() -> dict[str, Tensor]:
        context = Context(positions=torch.arange(config["length"])[None])
        return {"bucket": index.of(context, None, causal=False)[0]}

    return run


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    "attention": _attention,
    "encoder": _encoder,
    "encoder_gradients": lambda config, state: _encoder(config, state).gradients(_against_hidden),
    "relative_index": _index,
}
