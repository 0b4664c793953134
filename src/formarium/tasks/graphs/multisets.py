"""Multisets as graphs without edges: every way to take three kinds of things, each up to three times.

{a, b} and {a, a, b, b} hold the same things in the same shares, so that nothing but how many there are tells them
apart.
"""

import itertools

import numpy as np

from formarium.tasks.graphs.graph import Graph, make_graph

KINDS, MOST = 3, 3


def multisets(copies: int = 40, seed: int = 0) -> list[Graph]:
    """``copies`` graphs of each of the 63 multisets, their number as target (0..62).

    A node is of the kind of its thing, and has one real feature by chance, so that no two graphs are quite the same.
    """
    random = np.random.default_rng(seed)
    counts = [taken for taken in itertools.product(range(MOST + 1), repeat=KINDS) if any(taken)]
    made = []
    for _ in range(copies):
        for number, taken in enumerate(counts):
            kinds = random.permutation(np.repeat(np.arange(KINDS), taken))
            chance = random.standard_normal((len(kinds), 1))
            made.append(make_graph(len(kinds), np.empty((0, 2)), node_types=kinds, node_features=chance, target=number))
    return made
