"""Continuing token sequences: greedy or sampled, in batches of prompts of any lengths, one token's work a token."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from formarium.config import BaseConfig, ConfigError
from formarium.models.compiling import compiled as compile_function
from formarium.models.decoder import Decoder, at_least_single
from formarium.parts.linear import FusedLinear


@dataclass(frozen=True)
class Sampling(BaseConfig):
    """How the next token is chosen from its scores.

    temperature: 0 takes the best. top_k: only the k best. top_p: only the best that together reach that probability.
    repetition_penalty: scores of tokens already there are divided by it where positive, multiplied where negative
    (Keskar et al. 2019, arXiv 1909.05858).
    """

    new_tokens: int = 128
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    seed: int | None = None

    def check(self) -> None:
        """ConfigError for settings that choose nothing."""
        if self.new_tokens < 0 or not self.temperature >= 0:
            raise ConfigError("new_tokens and temperature are at least 0")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is at least 1, not {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p lies above 0 and up to 1, not at {self.top_p:g}")
        if not self.repetition_penalty > 0:
            raise ConfigError(f"the repetition penalty is above 0, not {self.repetition_penalty:g}")


@torch.inference_mode()
def generate(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling | None = None,
    stop: Callable[[list[int]], bool] | None = None,
    compiled: bool = False,
) -> list[list[int]]:
    """The new tokens behind each prompt.

    prompts: token numbers, each at least one, of any lengths. stop: called with the new tokens of a prompt after each;
    true ends that prompt, the token that ended it included. compiled: through torch.compile, which takes its time once
    a model and is faster then. Raises ConfigError for an empty prompt and for one that
    leaves no room within the model's table of positions.
    """
    new: list[list[int]] = [[] for _ in prompts]
    for tokens in stream(model, prompts, sampling, stop, compiled):
        for row, token in zip(new, tokens, strict=True):
            if token is not None:
                row.append(token)
    return new


@torch.inference_mode()
def stream(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling | None = None,
    stop: Callable[[list[int]], bool] | None = None,
    compiled: bool = False,
) -> Iterator[list[int | None]]:
    """The next token of each prompt, step by step; None for prompts that have ended. Arguments as of ``generate``."""
    sampling = sampling or Sampling()
    sampling.check()
    if not prompts:
        return
    if not all(prompts):
        raise ConfigError("a prompt holds at least one token to continue from")
    device = next(model.parameters()).device
    generator = torch.Generator(device)
    if sampling.seed is None:
        generator.seed()
    else:
        generator.manual_seed(sampling.seed)
    longest = max(map(len, prompts))
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long, device=device)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = torch.tensor(list(prompt), device=device)
        mask[row, longest - len(prompt) :] = True
    padded = None if bool(mask.all()) else mask
    was_training = model.training
    model.eval()
    _lay_out(model, by_columns=not compiled)
    state = model.new_state(len(prompts), longest + sampling.new_tokens)
    seen = _Seen(tokens, mask, model.config.vocabulary) if sampling.repetition_penalty != 1 else None
    new: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    try:
        for _ in range(sampling.new_tokens):
            step = _compiled_step(model) if compiled and state.past else model.step
            scores = at_least_single(step(tokens, state, padded, last_only=True)[:, -1])
            padded = None
            if seen is not None:
                scores = seen.penalised(scores, sampling.repetition_penalty)
            chosen = choose(scores, sampling, generator)
            if seen is not None:
                seen.add(chosen)
            out: list[int | None] = []
            for row, token in enumerate(chosen.tolist()):
                out.append(None if ended[row] else token)
                if not ended[row]:
                    new[row].append(token)
                    ended[row] = stop is not None and stop(new[row])
            yield out
            if all(ended):
                return
            tokens = chosen[:, None]
    finally:
        model.train(was_training)


def choose(scores: Tensor, sampling: Sampling, generator: torch.Generator | None = None) -> Tensor:
    """A token for each row of scores (B, V): (B,)."""
    if sampling.temperature == 0:
        return scores.argmax(-1)
    scores = (scores - scores.amax(-1, keepdim=True)) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    probabilities = scores.softmax(-1)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        # A token stays while those before it have not reached the probability, so the first always stays.
        ordered = ordered.masked_fill(ordered.cumsum(-1) - ordered >= sampling.top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0]


class _Seen:
    """Which tokens each row already holds."""

    def __init__(self, tokens: Tensor, mask: Tensor, vocabulary: int) -> None:
        self.there = torch.zeros(len(tokens), vocabulary, dtype=torch.bool, device=tokens.device)
        rows = torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(tokens)
        self.there[rows[mask], tokens[mask]] = True

    def add(self, chosen: Tensor) -> None:
        self.there.scatter_(1, chosen[:, None], True)

    def penalised(self, scores: Tensor, penalty: float) -> Tensor:
        lower = torch.where(scores > 0, scores / penalty, scores * penalty)
        return torch.where(self.there, lower, scores)


def _compiled_step(model: Decoder) -> Callable[..., Tensor]:
    """The model's step for one token, compiled once for all lengths and kept with the model."""
    if "_compiled_step" not in vars(model):
        vars(model)["_compiled_step"] = compile_function(model.step, dynamic=True)
    step: Callable[..., Tensor] = vars(model)["_compiled_step"]
    return step


def _lay_out(model: Decoder, by_columns: bool) -> None:
    """Puts wide matrices column by column into memory: a product with one token then reads them twice as fast on CPUs.

    A compiled product wants rows. The numbers, names and shapes stay as they are.
    """
    wide = [module.weight for module in model.modules() if isinstance(module, FusedLinear)]
    with torch.inference_mode(False), torch.no_grad():  # what inference mode makes could never be trained again
        for weight in (*wide, model.stem.weight if model.head is None else model.head.weight):
            if weight.device.type != "cpu":
                continue
            if by_columns and weight.is_contiguous():
                weight.data = weight.data.t().contiguous().t()
            elif not by_columns and not weight.is_contiguous():
                weight.data = weight.data.contiguous()
