"""Decoders against public peers of equal shape, in one process, in turn: training, decoding, what papers' parts cost.

python benchmarks/language.py --write docs/benchmarks/language.md
"""

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch
import torch.nn.functional as F
from report import Table, ratio, write
from torch import Tensor, nn

from formarium.lab.matching import match_parameters
from formarium.lab.timing import interleaved
from formarium.models import Decoder
from formarium.models.compiling import compiled as compile_model
from formarium.models.generation import Sampling, generate

VOCABULARY, WIDTH, DEPTH, HEADS, HIDDEN = 4096, 384, 12, 6, 1024
BATCH, LENGTH, NEW = 2, 512, 128


def ours(**changes: object) -> Decoder:
    config = Decoder.Config(VOCABULARY, WIDTH, DEPTH, HEADS).override({"channel_mixer.hidden": HIDDEN})
    model: Decoder = match_parameters(config.override(changes), 22_816_128, "channel_mixer.hidden").build()
    return model


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=LENGTH,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def x_transformers(flash: bool) -> nn.Module:
    from x_transformers import Decoder as Layers
    from x_transformers import TransformerWrapper

    layers = Layers(
        dim=WIDTH,
        depth=DEPTH,
        heads=HEADS,
        attn_dim_head=WIDTH // HEADS,
        rotary_pos_emb=True,
        ff_swish=True,
        ff_glu=True,
        ff_mult=HIDDEN / WIDTH,
        ff_no_bias=True,
        use_rmsnorm=True,
        attn_flash=flash,
    )
    return TransformerWrapper(
        num_tokens=VOCABULARY, max_seq_len=LENGTH + NEW, attn_layers=layers, use_abs_pos_emb=False, tie_embedding=True
    )


def step(scores: Callable[[Tensor], Tensor], model: nn.Module, tokens: Tensor) -> Callable[[], None]:
    """Forward and backward of the loss of the next token; the same loss for all."""

    def run() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(scores(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()

    return run


def training(repeats: int) -> Table:
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH + 1))
    peers: dict[str, tuple[nn.Module, Callable[[nn.Module], Callable[[Tensor], Tensor]]]] = {
        "formarium": (ours(), lambda m: m),
        "transformers LlamaForCausalLM": (llama(), lambda m: lambda t: m(input_ids=t, use_cache=False).logits),
        "x-transformers": (x_transformers(flash=False), lambda m: m),
        "x-transformers, attn_flash": (x_transformers(flash=True), lambda m: m),
    }
    calls: dict[str, Callable[[], None]] = {}
    for name, (model, scores) in peers.items():
        calls[name] = step(scores(model), model, tokens)
    for name in ("formarium", "transformers LlamaForCausalLM"):
        model, scores = peers[name]
        compiled = compile_model(model)
        calls[f"{name}, compiled"] = step(scores(compiled), model, tokens)
    seconds = interleaved(calls, repeats, warm=2)
    table = Table(
        f"Training step: forward and backward of {BATCH} x {LENGTH} tokens, {DEPTH} x {WIDTH}, float32",
        ("", "parameters", "median", "best", "formarium is faster by"),
    )
    for name, own in seconds.items():
        base = seconds["formarium, compiled" if "compiled" in name else "formarium"]
        size = sum(p.numel() for p in peers[name.removesuffix(", compiled")][0].parameters())
        table.row(
            name,
            f"{size:,}",
            f"{1e3 * statistics.median(own):.0f} ms",
            f"{1e3 * min(own):.0f} ms",
            f"{ratio(base, own):.2f}x",
        )
    return table


def decoding(repeats: int) -> Table:
    from x_transformers import AutoregressiveWrapper

    mine, theirs = ours().eval(), llama().eval()
    wrapped = AutoregressiveWrapper(x_transformers(flash=True)).eval()
    prompt = torch.randint(VOCABULARY, (1, 16))
    rows = prompt.tolist()

    manner = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": 0}

    def hugging_face() -> None:
        theirs.generate(prompt, attention_mask=torch.ones_like(prompt), **manner)  # type: ignore[attr-defined]

    calls: dict[str, Callable[[], Any]] = {
        "formarium": partial(generate, mine, rows, Sampling(new_tokens=NEW, temperature=0)),
        "formarium, compiled": partial(generate, mine, rows, Sampling(new_tokens=NEW, temperature=0), compiled=True),
        "transformers LlamaForCausalLM": hugging_face,
        "x-transformers, attn_flash": lambda: wrapped.generate(prompt, NEW, temperature=0.0, cache_kv=True),
    }
    with torch.no_grad():
        seconds = interleaved(calls, repeats, warm=1)
    table = Table(
        f"Cached greedy decoding of {NEW} tokens, batch 1, float32",
        ("", "tokens a second", "formarium is faster by", "formarium, compiled, by"),
    )
    for name, own in seconds.items():
        ratios = (f"{ratio(seconds[base], own):.2f}x" for base in ("formarium", "formarium, compiled"))
        table.row(name, f"{NEW / statistics.median(own):.0f}", *ratios)
    return table


PARTS: dict[str, tuple[str, dict[str, object]]] = {
    "RoPE, SwiGLU": ("the baseline", {}),
    "PolyNorm": ("polycom", {"channel_mixer": "FeedForward(activation=PolyNorm)"}),
    "PolyReLU": ("polycom", {"channel_mixer": "FeedForward(activation=PolyReLU)"}),
    "GELU": ("", {"channel_mixer": "FeedForward(activation=GELU)"}),
    "SquaredReLU": ("", {"channel_mixer": "FeedForward(activation=SquaredReLU)"}),
    "CARoPE": ("carope", {"position": "CARoPE"}),
    "ALiBi": ("", {"position": "ALiBi"}),
    "T5Bias": ("", {"position": "T5Bias"}),
    "NoPE": ("", {"position": "NoPE"}),
    "EulerRoPE": ("complexformer", {"position": "EulerRoPE"}),
    "ComRoPE, blocks of 4": ("comrope", {"position": "ComRoPE(block=4)"}),
    "T5Bias, RelativeFactor": ("urpe", {"position": "Combined(parts=(T5Bias, RelativeFactor))"}),
    "Horn, PhaseRotation": (
        "three-phase",
        {
            "position": "Combined(parts=(Horn, RoPE))",
            "norm": "RMSNorm(groups=3)",
            "between": "PhaseRotation(phases=3)",
        },
    ),
}


def parts(repeats: int, compiled: bool) -> Table:
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH + 1))
    calls = {}
    for name, (_, changes) in PARTS.items():
        model = ours(**changes)
        calls[name] = step(compile_model(model) if compiled else model, model, tokens)
    seconds = interleaved(calls, repeats, warm=2)
    base = seconds["RoPE, SwiGLU"]
    title = "torch.compile" if compiled else "eager"
    table = Table(
        f"Parts in the same decoder at equal parameters, {title}", ("", "paper", "median", "against the baseline")
    )
    for name, own in seconds.items():
        table.row(name, PARTS[name][0], f"{1e3 * statistics.median(own):.0f} ms", f"{ratio(base, own):.3f}x")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a Markdown file for the tables")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--only", choices=("training", "decoding", "parts"), action="append")
    options = parser.parse_args()
    torch.manual_seed(0)
    chosen = options.only or ["training", "decoding", "parts"]
    measured: dict[str, list[Callable[[], Table]]] = {
        "training": [partial(training, options.repeats)],
        "decoding": [partial(decoding, max(3, options.repeats // 2))],
        "parts": [partial(parts, options.repeats, compiled) for compiled in (False, True)],
    }
    tables: list[Table] = []
    for measure in (measure for name in chosen for measure in measured[name]):
        tables.append(measure())
        write("Decoders against their peers", tables, options.write)


if __name__ == "__main__":
    main()
