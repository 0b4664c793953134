"""Retrieval: what was the value of that kind? Tokens of many kinds, then questions for them in another order."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.tasks.sequences.task import UNASKED, SequenceTask


class Retrieval(SequenceTask):
    """In the first half one token of every kind, each with a value; in the second half a question for every kind.

    Kinds come in random order, the questions in another one, so that what is asked for lies anywhere from one place
    away to a whole sequence less one. vocabulary: different values, which are the answers; chance is one of them.
    Token k * vocabulary + v is value v of kind k; behind them come the questions, one for each of the length / 2 kinds.
    """

    @dataclass(frozen=True)
    class Config(SequenceTask.Config):
        vocabulary: int = 4
        length: int = 64

    def __init__(self, config: Config | None = None) -> None:
        config = config or self.Config()
        super().__init__(config)
        if config.length % 2:
            raise ConfigError(f"half of a sequence are questions, which {config.length} tokens do not allow")
        self.kinds = config.length // 2

    @property
    def symbols(self) -> int:
        return self.kinds * (self.config.vocabulary + 1)

    @property
    def classes(self) -> int:
        return self.config.vocabulary

    def draw(self, random: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        values, kinds = self.config.vocabulary, self.kinds
        shown, asked = (random.permuted(np.tile(np.arange(kinds), (count, 1)), axis=1) for _ in range(2))
        value = random.integers(values, size=(count, kinds))
        tokens = np.concatenate((shown * values + value, kinds * values + asked), axis=1)
        answers = np.take_along_axis(value, self._places(shown, asked), axis=1)
        targets = np.concatenate((np.full_like(answers, UNASKED), answers), axis=1)
        return torch.from_numpy(tokens), torch.from_numpy(targets)

    @staticmethod
    def _places(shown: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Where, in the first half, what each question asks for stands: both (n, kinds)."""
        return np.take_along_axis(np.argsort(shown, axis=1), asked, axis=1)

    def distances(self, tokens: Tensor) -> Tensor:
        """How many places before each question of (n, T) tokens its answer stands: (n, T/2)."""
        shown, asked = tokens.cpu().numpy()[:, -2 * self.kinds :].reshape(len(tokens), 2, self.kinds).transpose(1, 0, 2)
        places = self._places(shown // self.config.vocabulary, asked - self.kinds * self.config.vocabulary)
        return torch.from_numpy(self.kinds + np.arange(self.kinds) - places)
