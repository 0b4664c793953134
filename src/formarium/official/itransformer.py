"""iTransformer: the inverted models of the official repository, their parts, and its windows of two data sets.

The released iInformer merges its heads in the wrong order: its ProbSparse attention hands (B, H, T, K) to a layer that
reads the same memory as (B, T, H K). ``transpose_heads`` false is that, true is our own merge.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from formarium.block import Block
from formarium.config import BaseConfig
from formarium.context import Context
from formarium.models.inverted_forecaster import InvertedForecaster
from formarium.official.adapter import Adapter, State, against_cotangent
from formarium.parts.channel_mixers.activations import GELU, ReLU
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.stems.inverted_embedding import InvertedEmbedding
from formarium.parts.token_mixers.attend import attention_weights
from formarium.parts.token_mixers.attention import Attention
from formarium.parts.token_mixers.blockwise_attention import BlockwiseAttention
from formarium.parts.token_mixers.flow_attention import FlowAttention, flow_attention
from formarium.parts.token_mixers.prob_sparse_attention import ProbSparseAttention
from formarium.tasks.forecasting.calendar import parse_step, time_features
from formarium.tasks.forecasting.protocols import borders
from formarium.tasks.forecasting.scaling import Scaler
from formarium.tasks.forecasting.windows import Windows
from formarium.tasks.task import Split

Config = Mapping[str, Any]
Mixer = Callable[[Config], BaseConfig]

_PROTOCOLS = {"ett_hour": "ett-hour", "ett_minute": "ett-quarter-hour", "custom": "70-10-20", "pems": "pems"}


class _HeadsInMemoryOrder(ProbSparseAttention):
    """ProbSparse attention whose heads are merged as the released code merges them."""

    def _merge(self, mixed: Tensor) -> Tensor:
        batch, _, length, _ = mixed.shape
        merged: Tensor = self.out(mixed.contiguous().view(batch, length, -1))
        return merged


def _full(config: Config) -> BaseConfig:
    return Attention.Config(bias=True, dropout=config["dropout"])


def _flow(config: Config) -> BaseConfig:
    return FlowAttention.Config(bias=True)


def _blockwise(config: Config) -> BaseConfig:
    return BlockwiseAttention.Config(bias=True)


def _prob_sparse(config: Config) -> BaseConfig:
    kind = ProbSparseAttention if config.get("transpose_heads", False) else _HeadsInMemoryOrder
    return kind.Config(factor=config["factor"], bias=True, dropout=config["dropout"])


def _feed_forward(config: Config) -> FeedForward.Config:
    activation = GELU.Config() if config["activation"] == "gelu" else ReLU.Config()
    return FeedForward.Config(activation=activation, hidden=config["d_ff"], bias=True, dropout=config["dropout"])


def _layer(state: State, official: str, ours: str) -> dict[str, Tensor]:
    weights = {}
    for kind in ("weight", "bias"):
        inputs = [state[f"{official}attention.{name}_projection.{kind}"] for name in ("query", "key", "value")]
        weights[f"{ours}token_mixer.qkv.{kind}"] = torch.cat(inputs)
        weights[f"{ours}token_mixer.out.{kind}"] = state[f"{official}attention.out_projection.{kind}"]
        for theirs, own in (("norm1", "token_norm"), ("norm2", "channel_norm")):
            weights[f"{ours}{own}.{kind}"] = state[f"{official}{theirs}.{kind}"]
        for theirs, own in (("conv1", "up"), ("conv2", "down")):
            tensor = state[f"{official}{theirs}.{kind}"]
            weights[f"{ours}channel_mixer.{own}.{kind}"] = tensor.squeeze(-1) if kind == "weight" else tensor
    return weights


def _model(mixer: Mixer, switchable: bool = False) -> Callable[[Config, State], Adapter]:
    def make(config: Config, state: State) -> Adapter:
        model = InvertedForecaster(
            InvertedForecaster.Config(
                history=config["seq_len"],
                horizon=config["pred_len"],
                width=config["d_model"],
                depth=config["e_layers"],
                heads=config["n_heads"],
                token_mixer=mixer(config),
                channel_mixer=_feed_forward(config),
                dropout=config["dropout"],
                normalise=bool(config["use_norm"]) if switchable else True,
            )
        )

        def translate(state: State) -> dict[str, Tensor]:
            weights = {}
            for kind in ("weight", "bias"):
                weights[f"stem.embed.{kind}"] = state[f"enc_embedding.value_embedding.{kind}"]
                weights[f"norm.{kind}"] = state[f"encoder.norm.{kind}"]
                weights[f"head.{kind}"] = state[f"projector.{kind}"]
            for layer in range(config["e_layers"]):
                weights |= _layer(state, f"encoder.attn_layers.{layer}.", f"blocks.{layer}.")
            return weights

        return Adapter(model, translate, state, _forecast)

    return make


def _forecast(model: nn.Module, x_enc: Tensor, x_mark: Tensor | None = None) -> dict[str, Tensor]:
    return {"y": model(x_enc, x_mark)}


def _gradients(make: Callable[[Config, State], Adapter]) -> Callable[[Config, State], Callable[..., Any]]:
    return lambda config, state: make(config, state).eval().gradients(against_cotangent)


def _embedding(config: Config, state: State) -> Adapter:
    def translate(state: State) -> dict[str, Tensor]:
        return {f"embed.{kind}": state[f"value_embedding.{kind}"] for kind in ("weight", "bias")}

    def run(stem: nn.Module, x: Tensor, x_mark: Tensor | None = None) -> dict[str, Tensor]:
        return {"tokens": stem(x, x_mark)}

    settings = InvertedEmbedding.Config(dropout=config["dropout"])
    return Adapter(InvertedEmbedding(config["d_model"], config["seq_len"], config=settings), translate, state, run)


def _encoder_layer(config: Config, state: State) -> Adapter:
    width, dropout = config["d_model"], config["dropout"]
    mixer = Attention(width, config["n_heads"], config=Attention.Config(bias=True, dropout=dropout))
    block = Block(
        mixer,
        FeedForward(width, _feed_forward(config)),
        (LayerNorm(width), LayerNorm(width)),
        placement="post",
        dropout=dropout,
    )

    def run(block: nn.Module, z: Tensor) -> dict[str, Tensor]:
        context = Context(positions=torch.arange(z.shape[1], device=z.device)[None])
        queries, keys, _, _ = mixer._project(z, context, None)
        return {"z": block(z, context), "attn": attention_weights(queries, keys)}

    return Adapter(block, lambda state: _layer(state, "", ""), state, run)


def _flow_attention(config: Config, state: State) -> Callable[..., dict[str, Tensor]]:
    def run(q: Tensor, k: Tensor, v: Tensor) -> dict[str, Tensor]:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return {"o": flow_attention(q, k, v, config["eps"]).transpose(1, 2)}

    return run


def _forecast_windows(config: Config, state: State) -> Callable[..., dict[str, Tensor]]:
    history, horizon = config["seq_len"], config["pred_len"]

    def run(values: Tensor, mid_index: Tensor) -> dict[str, Tensor]:
        table = values.numpy().astype(np.float64)
        splits = borders(_PROTOCOLS[config["split"]], len(table))
        scaler = Scaler.fit(table[splits.train])
        steps = parse_step(config["step"]) * np.arange(len(table))
        marks = time_features(np.datetime64(config["start"]) + steps, config["freq"])
        results = {"scaler_mean": torch.from_numpy(scaler.mean), "scaler_scale": torch.from_numpy(scaler.scale)}
        scaled = scaler.apply(table)
        names: tuple[tuple[Split, str], ...] = (("train", "train"), ("validation", "val"), ("test", "test"))
        for name, short in names:
            rows = splits.rows(name, history)
            windows = Windows(scaled[rows], history, horizon, marks=marks[rows])
            results[f"len_{short}"] = torch.tensor(len(windows))
            places = {"first": 0, "mid": int(mid_index), "last": len(windows) - 1}
            for place, index in places.items():
                batch = windows.gather(np.array([index]))
                results[f"{short}_{place}_x"] = batch["history"][0]
                results[f"{short}_{place}_y"] = batch["target"][0]
                results[f"{short}_{place}_xmark"] = batch["marks"][0]
        return results

    return run


_MODELS = {
    "itransformer": _model(_full, switchable=True),
    "iflowformer": _model(_flow),
    "iinformer": _model(_prob_sparse),
    "iflashformer": _model(_blockwise),
}

MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    **_MODELS,
    **{f"{name}_gradients": _gradients(make) for name, make in _MODELS.items()},
    "inverted_embedding": _embedding,
    "encoder_layer": _encoder_layer,
    "flow_attention": _flow_attention,
    "forecast_windows": _forecast_windows,
}
