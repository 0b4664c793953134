"""Which graphs a colour refinement tells apart: exactly, without training, as a ceiling for what models can.

Refinement gives every node a colour and refines it round by round by the multiset of (colour of the pair, colour of the
other node) over all nodes (generalised-distance refinement: Zhang et al. 2023, arXiv 2301.09505). The colours of pairs
decide the test: edges make it 1-WL; shortest-path distances, or the probabilities of random walks, make it finer. 3-WL
(the folklore 2-WL) refines the colours of pairs themselves (Cai, Fürer and Immerman 1992).

Walk probabilities are rational numbers, compared as such: by their residues modulo two primes of 31 bits. Nothing is
rounded, so equal numbers never differ. Colours are 64-bit hashes: different ones fall together with a chance below
1e-9 in graphs of some hundred nodes.
Shapes: G graphs, or P pairs of graphs, of n nodes each.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import scipy.sparse
import scipy.sparse.csgraph
from numpy.typing import NDArray

from formarium.config import suggestion
from formarium.errors import DataError

Colours = NDArray[np.uint64]
Adjacency = NDArray[np.float64]

_PRIMES = (2147483629, 2147483587)
_SPARSE_FROM = 512


def mixed(h: Colours) -> Colours:
    """Each number sent to another as if by chance, one to one (the finaliser of splitmix64)."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


def _joined(h: Colours, more: NDArray) -> Colours:
    """The colour of a pair (colour, number)."""
    return mixed(h * np.uint64(0x9E3779B97F4A7C15) + more.astype(np.uint64))


def edge_colours(adjacency: Adjacency) -> Colours:
    """Colours of pairs (G, n, n) by whether they are joined, and of a node with itself."""
    own = 2 * np.eye(adjacency.shape[-1])
    return _joined(np.zeros(adjacency.shape, np.uint64), adjacency + own)


def distance_colours(adjacency: Adjacency) -> Colours:
    """Colours of pairs (G, n, n) by the length of the shortest path, n where there is none, and of nodes by loops."""
    size = adjacency.shape[-1]
    graphs = adjacency.reshape(-1, size, size)
    found = [scipy.sparse.csgraph.shortest_path(scipy.sparse.csr_array(g), "D", unweighted=True) for g in graphs]
    distance = np.nan_to_num(np.reshape(found, adjacency.shape), posinf=size) + (size + 1) * np.eye(size) * adjacency
    return _joined(np.zeros(adjacency.shape, np.uint64), distance)


def walk_colours(adjacency: Adjacency, steps: int = 32) -> Colours:
    """Colours of pairs (G, n, n) by the exact probabilities that 0..steps steps of a random walk lead from i to j."""
    degree = adjacency.sum(-1).astype(np.int64)
    colours = np.zeros(adjacency.shape, np.uint64)
    for prime in _PRIMES:
        inverse = np.array([pow(d, -1, prime) if d else 0 for d in range(int(degree.max(initial=0)) + 1)])[degree]
        # Column i holds the walks from i, so that a step is one product from the left.
        now = np.broadcast_to(np.eye(adjacency.shape[-1], dtype=np.int64), adjacency.shape)
        for step in range(steps + 1):
            colours = _joined(colours, now)
            if step < steps:
                # The products stay below 2^62, and the sums of at most n residues below 2^53: both are exact.
                sent = (now * inverse[..., :, None] % prime).astype(np.float64)
                now = _times(adjacency, sent).astype(np.int64) % prime
    return np.ascontiguousarray(colours.swapaxes(-1, -2))


def refined(pairs: Colours, nodes: Colours) -> Colours:
    """Colours of nodes (G, n) after one more round, from those of pairs (G, n, n) and nodes (G, n)."""
    seen = _joined(pairs, nodes[..., None, :])
    return _joined(mixed(nodes), seen.sum(-1, dtype=np.uint64))


def refined_pairs(pairs: Colours) -> Colours:
    """Colours of pairs (G, n, n) after one more round of 3-WL: by all the ways to go round by a third node."""
    total = np.zeros_like(pairs)
    for k in range(pairs.shape[-1]):
        total += mixed(_joined(pairs[..., :, k, None], pairs[..., None, k, :]))
    return _joined(mixed(pairs), total)


def _times(adjacency: Adjacency, x: Adjacency) -> Adjacency:
    """adjacency @ x for each graph, sparsely where that is less work."""
    size = adjacency.shape[-1]
    if size < _SPARSE_FROM or np.count_nonzero(adjacency) * 16 > adjacency.size:
        return adjacency @ x
    flat = zip(adjacency.reshape(-1, size, size), x.reshape(-1, size, size), strict=True)
    return np.reshape([np.asarray(scipy.sparse.csr_array(a) @ y) for a, y in flat], x.shape)


TESTS: dict[str, Callable[[Adjacency], Colours]] = {
    "1-WL": edge_colours,
    "distances": distance_colours,
    "walks": walk_colours,
    "3-WL": edge_colours,
}
"""Tests by name, each with the colours of pairs that it starts from."""


def round_to_tell(first: Adjacency, second: Adjacency, test: str = "walks", steps: int = 32) -> int | None:
    """The round in which two graphs (n, n), (m, m) are told apart, 0 where n is not m; None where they never are."""
    if len(first) != len(second):
        return 0
    found = int(rounds_to_tell(np.asarray(first)[None], np.asarray(second)[None], test, steps)[0])
    return None if found < 0 else found


def rounds_to_tell(first: Adjacency, second: Adjacency, test: str = "walks", steps: int = 32) -> NDArray[np.int64]:
    """The round in which each of P pairs of graphs (P, n, n) is told apart; -1 where it never is.

    Round 1 is the first refinement of nodes that all look alike, of 3-WL the first look at edges. ``steps``: of the
    walks. Refinement goes on until no partition gets finer. Raises DataError for adjacencies that are not symmetric
    matrices of 0 and 1.
    """
    if test not in TESTS:
        raise DataError(f"there is no test {test!r}{suggestion(test, TESTS)}")
    both = np.stack((_checked(first), _checked(second)), axis=1)
    start = partial(walk_colours, steps=steps) if test == "walks" else TESTS[test]
    count, _, size, _ = both.shape
    found = np.full(count, -1)
    open_pairs = np.arange(count) if size else np.arange(0)
    pairs = start(both) if size else both.astype(np.uint64)
    nodes = np.zeros(both.shape[:-1], np.uint64)
    classes = np.ones(count, np.int64)
    turn = 0
    while len(open_pairs):
        turn += 1
        if test == "3-WL":
            if turn > 1:
                pairs = refined_pairs(pairs)
            colours = np.sort(pairs.reshape(len(pairs), 2, -1), axis=-1)
        else:
            nodes = refined(pairs, nodes)
            colours = np.sort(nodes, axis=-1)
        apart = (colours[:, 0] != colours[:, 1]).any(-1)
        found[open_pairs[apart]] = turn
        ordered = np.sort(colours.reshape(len(colours), -1), axis=-1)
        now = (ordered[:, 1:] != ordered[:, :-1]).sum(-1) + 1
        going = ~apart & (now > classes)
        open_pairs, classes = open_pairs[going], now[going]
        pairs, nodes = pairs[going], nodes[going]
    return found


def stable_colours(adjacency: Adjacency, steps: int = 32) -> Colours:
    """Colours of the nodes of one graph (n, n) that refinement by walks ends with: alike nodes of all graphs alike."""
    pairs = walk_colours(_checked(np.asarray(adjacency)[None]), steps)
    nodes = np.zeros(pairs.shape[:-1], np.uint64)
    for _ in range(len(adjacency)):
        nodes, before = refined(pairs, nodes), nodes
        if len(np.unique(nodes)) == len(np.unique(before)):
            break
    return cast(Colours, nodes[0])


def _checked(adjacency: Adjacency) -> Adjacency:
    adjacency = np.asarray(adjacency, dtype=np.float64)
    if adjacency.ndim != 3 or adjacency.shape[1] != adjacency.shape[2]:
        raise DataError(f"an adjacency matrix is square; these have the shape {adjacency.shape[1:]}")
    if ((adjacency != 0) & (adjacency != 1)).any() or (adjacency != adjacency.swapaxes(-1, -2)).any():
        raise DataError("colour refinement takes symmetric adjacency matrices of 0 and 1")
    return adjacency
