"""The functions that URPE's claims measure with."""

import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import shortest_path

from formarium.papers.urpe import counts_at_distances, drop_in, parameters, random_graphs, rows_of_constants


def test_what_is_exact_holds() -> None:
    checks = [*rows_of_constants(0, depths=[1, 3]), *parameters(0), *drop_in(0)]
    assert all(check["holds"] for check in checks), [check for check in checks if not check["holds"]]


def test_distances_in_random_graphs_are_shortest_paths() -> None:
    distances, counts = random_graphs(20, 9, torch.Generator().manual_seed(0))
    assert int(distances.max()) == 5
    for distance, count in zip(distances.numpy(), counts.numpy(), strict=True):
        exact = shortest_path((distance == 1).astype(float), unweighted=True)
        assert np.array_equal(np.minimum(exact, 5), distance)
        assert np.array_equal(np.stack([(exact == step).sum(-1) for step in (1, 2, 3)], -1), count)


def test_graphs_differ_in_density() -> None:
    _, counts = random_graphs(200, 12, torch.Generator().manual_seed(0))
    degrees = counts[..., 0].float().mean(-1)
    assert float(degrees.mean()) == pytest.approx(2 * 11 / 12, rel=0.15)
    assert float(degrees.std()) > 0.5


def test_a_bias_explains_nothing_and_a_factor_much() -> None:
    found = counts_at_distances(0, nodes=6, width=16, depth=1, batch=16, steps=120)
    assert found["bias"]["explained"] < 0.02
    assert found["bias and factor"]["explained"] > 0.5
    assert found["bias and factor"]["right"] > found["bias"]["right"]
