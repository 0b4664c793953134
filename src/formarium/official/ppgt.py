"""PPGT (LiamMa/PPGT): the plain graph Transformer and its pieces under official names."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import functional_call

from formarium.block import Block
from formarium.context import Context
from formarium.models.graph_transformer import GraphTransformer
from formarium.official.adapter import Adapter, State
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.adaptive_rms_norm import AdaRMSNorm
from formarium.parts.positions.pair_bias import PairBias
from formarium.parts.stems.random_walk import RandomWalkStem, random_walks
from formarium.parts.token_mixers.attention import Attention

Config = Mapping[str, Any]

_LINEAR, _NORM = ("weight", "bias"), ("alpha", "beta")


def _norm(config: Config, state: State) -> Adapter:
    norm = AdaRMSNorm(len(state["alpha"]), AdaRMSNorm.Config(config["eps"]))
    return Adapter(norm, lambda state: {name: state[name] for name in _NORM}, state, lambda norm, x: {"y": norm(x)})


def _norm_given_parameters(config: Config, state: State) -> Callable[..., Any]:
    def run(x: Tensor, alpha: Tensor, beta: Tensor) -> dict[str, Tensor]:
        norm = AdaRMSNorm(len(alpha), AdaRMSNorm.Config(config["eps"]))
        return {"y": functional_call(norm, {"alpha": alpha, "beta": beta}, (x,))}

    return run


def _renamed(state: State, names: Mapping[str, str], ends: tuple[str, ...] = _LINEAR) -> dict[str, Tensor]:
    """The tensors of modules under our names, the keys, from those under theirs, the values."""
    return {f"{ours}.{end}": state[f"{theirs}.{end}"] for ours, theirs in names.items() for end in ends}


def _attention_config(config: Config) -> Attention.Config:
    kind: Literal["distance_as_released", "dot"] = "distance_as_released" if config["l2dist"] else "dot"
    return Attention.Config(similarity=kind, scale=float(config["qk_scale"]), bias=True)


def _attention_weights(state: State, ours: str, theirs: str) -> dict[str, Tensor]:
    qkv = {f"{ours}qkv.{end}": torch.cat((state[f"{theirs}Q.{end}"], state[f"{theirs}KV.{end}"])) for end in _LINEAR}
    return qkv | _renamed(state, {f"{ours}out": f"{theirs}O", f"{ours}position.project": f"{theirs}P"})


def _mixer(config: Config) -> Attention:
    position = PairBias(config["num_heads"], config["pair_dim"], config=PairBias.Config(gate=config["urpe"]))
    return Attention(config["dim"], config["num_heads"], position=position, config=_attention_config(config))


def _context(mask: Tensor, pair: Tensor) -> Context:
    return Context(positions=torch.arange(mask.shape[1], device=mask.device)[None], mask=mask, pairs=pair)


def _attention(config: Config, state: State) -> Adapter:
    def run(mixer: Attention, x: Tensor, pair: Tensor, mask: Tensor) -> dict[str, Tensor]:
        context = _context(mask, pair)
        weights = mixer.weights(x, context).masked_fill(~mask[:, None, :, None], 0)
        return {"y": _real(mixer(x, context), mask), "softmax": weights}

    return Adapter(_mixer(config), lambda state: _attention_weights(state, "", ""), state, run)


def _real(x: Tensor, mask: Tensor) -> Tensor:
    return x.masked_fill(~mask[..., None], 0)


def _layer_weights(state: State, ours: str, theirs: str) -> dict[str, Tensor]:
    mixer = _attention_weights(state, f"{ours}token_mixer.", f"{theirs}attention.")
    ffn = {f"{ours}channel_mixer.up": f"{theirs}FFN.0", f"{ours}channel_mixer.down": f"{theirs}FFN.4"}
    norms = {
        f"{ours}token_norm": f"{theirs}norm1_h.norm_layer",
        f"{ours}channel_norm": f"{theirs}norm2_h.norm_layer",
    }
    return mixer | _renamed(state, ffn) | _renamed(state, norms, _NORM)


def _layer(config: Config, state: State) -> Adapter:
    width, norm = config["dim"], AdaRMSNorm.Config(config["norm_eps"])
    ffn = FeedForward(width, FeedForward.Config(hidden=_rows(state, "FFN.0"), bias=True))
    block = Block(_mixer(config), ffn, (norm.build(width=width), norm.build(width=width)))

    def run(block: Block, x: Tensor, pair: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return {"y": _real(block(x, _context(mask, pair)), mask)}

    return Adapter(block, lambda state: _layer_weights(state, "", ""), state, run)


def _rows(state: State, name: str) -> int:
    """The width of a map's output, which the published code cuts to an integer where ours rounds a ratio."""
    return len(state[f"{name}.weight"])


def _both_ways(adjacency: Tensor) -> Tensor:
    """Adjacency (..., N, N) as the published code takes it: of a directed graph, every edge both ways, of weight 1."""
    other = adjacency.mT
    one_way = (adjacency != other).flatten(-2).any(-1)[..., None, None]
    return torch.where(one_way, ((adjacency != 0) | (other != 0)).to(adjacency.dtype), adjacency)


def _rrwp(config: Config, state: State) -> Callable[..., Any]:
    return lambda adj: {"rrwp": random_walks(_both_ways(adj), config["ksteps"], config["sym_norm"])}


def _model(config: Config, state: State) -> Adapter:
    norm = AdaRMSNorm.Config(config["norm_eps"])
    inner = _rows(state, "edge_ffn.0.mlp.0") if config["pair_blocks"] else 0
    stem = RandomWalkStem.Config(
        steps=config["ksteps"],
        symmetric=config["sym_norm"],
        frequencies=config["sin_L"],
        hidden=config["hid_dim"],
        blocks=config["pair_blocks"],
        ratio=inner / config["pair_dim"],
        pre_norm=config["pair_pre_norm"],
        norm=norm,
        node_degree=config["node_log_deg"],
        node_order=config["node_log_order"],
        pair_degree=config["add_invD"],
        pair_order=config["add_invN"],
    )
    tables = {kind: f"{kind}_emb.weight" for kind in ("node", "edge") if f"{kind}_emb.weight" in state}
    types = {kind: (len(state[name]),) for kind, name in tables.items()}
    settings = GraphTransformer.Config(
        node_types=types.get("node", ()),
        edge_types=types.get("edge", ()),
        outputs=config["out_dim"],
        pooling=config["pooling"],
        width=config["dim"],
        depth=config["num_layers"],
        heads=config["num_heads"],
        pair_width=config["pair_dim"],
        stem=stem,
        token_mixer=_attention_config(config),
        position=PairBias.Config(gate=config["urpe"]),
        channel_mixer=FeedForward.Config(hidden=_rows(state, "layers.0.FFN.0"), bias=True),
        norm=norm,
        head_layers=config["head_layers"],
    )

    def translate(state: State) -> dict[str, Tensor]:
        linear = {
            "stem.node_walks": "pe_node.rrwp",
            "stem.pair_down": "pe_edge.out_fc",
            **{f"head.layers.{i}": f"head.mlp.{3 * i}" for i in range(config["head_layers"])},
        }
        norms = {"stem.norm": "edge_ffn.post_backbone_norm", "norm": "post_backbone_norm"}
        if stem.pre_norm:
            norms["stem.pre_norm"] = "edge_ffn.pre_backbone_norm"
        for name in ("degree", "order"):
            if getattr(stem, f"node_{name}"):
                linear[f"stem.node_{name}"] = "pe_node.log_deg" if name == "degree" else "pe_node.log_order"
        for i in range(stem.blocks):
            linear[f"stem.blocks.{i}.channel_mixer.up"] = f"edge_ffn.{i}.mlp.0"
            linear[f"stem.blocks.{i}.channel_mixer.down"] = f"edge_ffn.{i}.mlp.3"
            norms[f"stem.blocks.{i}.norm"] = f"edge_ffn.{i}.pre_mlp_norm"
        weights = _renamed(state, linear) | _renamed(state, norms, _NORM)
        weights["stem.pair_up.weight"] = _sines_first(state["pe_edge.mlp.0.weight"], stem.frequencies)
        weights["stem.pair_up.bias"] = state["pe_edge.mlp.0.bias"]
        weights |= {f"{kind}_tables.0.weight": state[name] for kind, name in tables.items()}
        for i in range(config["num_layers"]):
            weights |= _layer_weights(state, f"blocks.{i}.", f"layers.{i}.")
        return weights

    def run(
        model: GraphTransformer, adj: Tensor, atom_type: Tensor, bond_type: Tensor, mask: Tensor
    ) -> dict[str, Tensor]:
        x, context = model.stems(_both_ways(adj), mask, atom_type, bond_type)
        last = model.encode(x, context)
        assert context.pairs is not None
        both = (mask[:, :, None] & mask[:, None, :])[..., None]
        return {
            "pred": model.answer(last, context),
            "x_stem": _real(x, mask),
            "pair_stem": context.pairs.masked_fill(~both, 0),
            "x_final": _real(last, mask),
        }

    return Adapter(settings.build(), translate, state, run)


def _sines_first(weight: Tensor, frequencies: int) -> Tensor:
    """Columns [raw, channel by frequency by (sine, cosine)] as [raw, all sines, all cosines]."""
    raw = weight.shape[1] // (2 * frequencies + 1)
    waves = weight[:, raw:].reshape(len(weight), raw * frequencies, 2)
    return torch.cat((weight[:, :raw], waves[..., 0], waves[..., 1]), dim=1)


MODULES: dict[str, Callable[[Config, State], Callable[..., Any]]] = {
    "ada_rms_norm": _norm,
    "ada_rms_norm_given_parameters": _norm_given_parameters,
    "attention": _attention,
    "layer": _layer,
    "rrwp": _rrwp,
    "model": _model,
}
