"""Every other token of a sequence, moved to its front."""

import torch.nn.functional as F
from torch import Tensor

from formarium.tasks.sequences.task import SequenceTask


class EvenTokens(SequenceTask):
    """Answer i is the token at the even place 2 i, counted from 1; behind the last of them, a class that says so.

    Even-token prediction of Luo et al. 2022 (arXiv 2205.13401). The class that says so is the number ``vocabulary``.
    """

    @property
    def classes(self) -> int:
        return self.config.vocabulary + 1

    def targets(self, tokens: Tensor) -> Tensor:
        even = tokens[:, 1::2]
        return F.pad(even, (0, tokens.shape[1] - even.shape[1]), value=self.config.vocabulary)
