"""Where am I? The place of each token in a sequence that says nothing about it."""

import torch
from torch import Tensor

from formarium.tasks.sequences.task import SequenceTask


class PositionIdentification(SequenceTask):
    """The place 0..T-1 of every token of a random sequence (Luo et al. 2022, arXiv 2205.13401); chance is 1/T.

    Tokens tell nothing of places, so that only what a model knows of positions can help.
    """

    @property
    def classes(self) -> int:
        return self.config.length

    def targets(self, tokens: Tensor) -> Tensor:
        return torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
