"""Which windows of a token stream a training step sees: a function of the seed and the step alone.

In each pass the stream is cut into windows of T + 1 tokens from a random offset, and the windows come in random order;
no window is seen twice in a pass. Any number of processes share them, and training resumes at any step.
"""

from functools import lru_cache

import numpy as np


class Windows:
    """Windows of ``length`` tokens and their successors out of a stream of ``total`` tokens."""

    def __init__(self, total: int, length: int, seed: int) -> None:
        self.length, self.seed, self.total = length, seed, total
        spare = min(length, total - length)  # offsets that still leave a window
        self.offsets = max(spare, 1)
        self.count = (total - self.offsets) // length
        self._pass = lru_cache(maxsize=2)(self._shuffled)

    def starts(self, first: int, count: int) -> np.ndarray:
        """Where the examples ``first`` .. ``first + count - 1`` of the endless sequence of examples begin."""
        numbers = np.arange(first, first + count)
        passes, within = numbers // self.count, numbers % self.count
        return np.array([self._start(int(p), int(w)) for p, w in zip(passes, within, strict=True)], dtype=np.int64)

    def _start(self, number: int, within: int) -> int:
        offset, order = self._pass(number)
        return offset + int(order[within]) * self.length

    def _shuffled(self, number: int) -> tuple[int, np.ndarray]:
        random = np.random.default_rng([self.seed, number])
        return int(random.integers(self.offsets)), random.permutation(self.count)
