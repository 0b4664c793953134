"""Timing models side by side: in turn within each round, so that a machine that slows down slows all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from formarium.config import BaseConfig, ConfigError, parse
from formarium.models.compiling import compiled as compile_model
from formarium.models.decoder import Decoder
from formarium.models.generation import Sampling, generate


def interleaved(calls: Mapping[str, Callable[[], object]], repeats: int, warm: int = 2) -> dict[str, list[float]]:
    """Seconds of each call, ``repeats`` times, the calls in turn; the first ``warm`` rounds are not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    on_gpu = torch.cuda.is_available()
    for number in range(warm + repeats):
        for name, call in calls.items():
            if on_gpu:
                torch.cuda.synchronize()
            began = time.perf_counter()
            call()
            if on_gpu:
                torch.cuda.synchronize()
            if number >= warm:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def training_seconds(models: Mapping[str, nn.Module], tokens: Tensor, repeats: int) -> dict[str, list[float]]:
    """Seconds of a forward and backward pass of language models over tokens (B, T), the models in turn."""

    def step(model: nn.Module) -> Callable[[], None]:
        def run() -> None:
            model.zero_grad(set_to_none=True)
            scores = model(tokens)
            F.cross_entropy(scores[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten()).backward()

        return run

    return interleaved({name: step(model) for name, model in models.items()}, repeats)


def step_seconds(
    seed: int,
    model: str,
    variants: Mapping[str, Mapping[str, Any]],
    batch: int,
    length: int,
    repeats: int,
    compiled: bool = False,
) -> dict[str, dict[str, float]]:
    """Seconds of a forward and backward pass of a decoder and its variants, in turn: the median of ``repeats``.

    A function for a ``Measurement``: the model as text, the changes of each variant by its name.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base = parse(model)
    tokens = torch.randint(256, (batch, length), generator=torch.Generator().manual_seed(seed)).to(device)
    models: dict[str, nn.Module] = {
        name: base.override(changes).build().to(device) for name, changes in variants.items()
    }
    if compiled:
        models = {name: compile_model(own) for name, own in models.items()}
    seconds = training_seconds(models, tokens, repeats)
    return {name: {"seconds": statistics.median(own)} for name, own in seconds.items()}


def bench_decoders(
    configs: Mapping[str, BaseConfig], batch: int, length: int, repeats: int, compiled: bool = False
) -> dict[str, dict[str, float]]:
    """Training step and cached decoding of decoders, in turn: medians, by name.

    Raises ConfigError for a model that is no decoder.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models: dict[str, Decoder] = {}
    for name, config in configs.items():
        model = config.build()
        if not isinstance(model, Decoder):
            raise ConfigError(f"only decoders are timed, which {config.name()} is not")
        models[name] = model.to(device)
    smallest = min(model.config.vocabulary for model in models.values())
    tokens = torch.randint(smallest, (batch, length), generator=torch.Generator().manual_seed(0)).to(device)
    timed: dict[str, nn.Module] = {n: compile_model(m) if compiled else m for n, m in models.items()}
    steps = training_seconds(timed, tokens, repeats)
    new = 64
    greedy = Sampling(new_tokens=new, temperature=0)
    calls = {name: partial(generate, model, [[1] * 16], greedy) for name, model in models.items()}
    decoding = interleaved(calls, max(3, repeats // 2), warm=1)
    return {
        name: {
            "parameters": float(model.num_parameters()),
            "step_seconds": statistics.median(steps[name]),
            "tokens_per_second": batch * length / statistics.median(steps[name]),
            "decoded_per_second": new / statistics.median(decoding[name]),
        }
        for name, model in models.items()
    }
