"""Which of two tokens is the nearer one? The farther one stands a fixed number of places behind it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.tasks.sequences.task import UNASKED, SequenceTask


class NearerToken(SequenceTask):
    """A question, and before it two different values, d and d + ``apart`` places away; its answer is the nearer one.

    Everything else is one and the same filler, and d is drawn from 1 to apart - 1, so that distance alone tells. apart:
    half the length where None. vocabulary: different values. Who knows both values and no distance is right half of the
    time. The filler is the number ``vocabulary``, the question the one behind.
    """

    @dataclass(frozen=True)
    class Config(SequenceTask.Config):
        vocabulary: int = 8
        length: int = 64
        apart: int | None = None

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        self.apart = config.length // 2 if config.apart is None else config.apart
        if not 2 <= self.apart <= config.length // 2:
            raise ConfigError(
                f"the two values are between 2 places and half the length of {config.length} apart, not {self.apart}"
            )

    @property
    def symbols(self) -> int:
        return self.config.vocabulary + 2

    @property
    def classes(self) -> int:
        return self.config.vocabulary

    def draw(self, random: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        length, values = self.config.length, self.config.vocabulary
        rows = np.arange(count)
        near = random.integers(1, self.apart, size=count)
        asked = random.integers(near + self.apart, length)
        first = random.integers(values, size=count)
        second = (first + random.integers(1, values, size=count)) % values
        tokens = np.full((count, length), values)
        tokens[rows, asked] = values + 1
        tokens[rows, asked - near] = first
        tokens[rows, asked - near - self.apart] = second
        targets = np.full((count, length), UNASKED)
        targets[rows, asked] = first
        return torch.from_numpy(tokens), torch.from_numpy(targets)
