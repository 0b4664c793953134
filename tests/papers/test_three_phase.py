"""The functions that the Three-Phase Transformer's claims measure with."""

import math

import pytest
import torch

from formarium.config import parse
from formarium.models import Decoder
from formarium.papers.three_phase import (
    _phases,
    angle_drift,
    orthogonal,
    parameters,
    profile_stays,
    stripe_sums,
    stripes_cancel,
)
from formarium.parts import PhaseRotation
from formarium.tasks import Language


class _Tokens(Language):
    """A task of random tokens, for probes that only want a batch."""

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1):  # type: ignore[no-untyped-def]
        yield {"tokens": torch.randint(64, (batch_size, 32), generator=torch.Generator().manual_seed(seed))}


def decoder(depth: int = 2, std: float = 1.0, **changes: object) -> Decoder:
    base = f"Decoder(width=48, depth={depth}, heads=6, vocabulary=64, tied=False, stem=TokenEmbedding(std={std}))"
    model = parse(base).override(changes).build()
    assert isinstance(model, Decoder)
    return model


def test_what_is_exact_holds() -> None:
    checks = [*orthogonal(0), *stripes_cancel(0), *parameters(0)]
    assert all(check["holds"] for check in checks), checks


def test_the_profile_does_not_stay_in_the_mean() -> None:
    checks = profile_stays(0, depth=12)
    assert not any(check["holds"] for check in checks)
    assert all(check["value"] < 1e-12 for check in checks)


def test_a_random_stream_is_as_balanced_as_chance() -> None:
    torch.manual_seed(0)
    found = stripe_sums(decoder(), _Tokens())
    assert found["embedding_balance"] == pytest.approx(1, abs=0.25)
    assert found["block_balance"] > 0


def test_the_profile_and_its_absence_are_seen_in_the_embedding() -> None:
    torch.manual_seed(0)
    zero = stripe_sums(decoder(**_phases(3, "Combined(parts=(Horn(profile=zero), RoPE))")), _Tokens())
    assert zero["embedding_sum"] < 1e-6
    assert zero["embedding_balance"] < 1e-5
    assert zero["block_balance"] > 0.1, "behind a block nothing holds the mean at zero"
    horn = stripe_sums(decoder(**_phases(3)), _Tokens())
    harmonic = 3 * math.fsum(1 / n for n in range(1, 33)) / 32
    assert horn["embedding_sum"] == pytest.approx(harmonic, rel=1e-4)
    assert horn["embedding_sum_at_start"] == pytest.approx(harmonic, rel=1e-4)


def test_measuring_the_start_leaves_random_numbers_alone() -> None:
    model = decoder()
    torch.manual_seed(5)
    stripe_sums(model, _Tokens())
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)


def with_drift(drift: list[float]) -> Decoder:
    model = decoder(depth=len(drift), **_phases(3))
    rotations = [m for m in model.modules() if isinstance(m, PhaseRotation)]
    for rotation, size in zip(rotations, drift, strict=True):
        rotation.angles.data[0] += size
    return model


def test_a_u_is_recognised() -> None:
    published = [0.541, 0.238, 0.069, 0.112, 0.232, 0.348, 0.446, 0.799, 0.943, 0.994, 1.279, 1.833]
    found = angle_drift(with_drift(published), _Tokens())
    assert [found[f"drift_{layer}"] for layer in range(12)] == pytest.approx(published, rel=1e-4)
    assert (found["drift_least_at"], found["from_block_2"], found["u_share"]) == (2, 0, 1)
    assert found["drift_falls"] == pytest.approx(0.541 / 0.069, rel=1e-3)
    assert found["drift_rises"] == pytest.approx(1.833 / 0.069, rel=1e-3)


def test_what_is_no_u_is_not() -> None:
    rising = angle_drift(with_drift([0.1, 0.2, 0.3, 0.4]), _Tokens())
    assert (rising["drift_least_at"], rising["drift_falls"]) == (0, 1)
    hill = angle_drift(with_drift([0.1, 0.4, 0.3, 0.2]), _Tokens())
    assert hill["u_share"] < 0.5
    still = angle_drift(with_drift([0.0, 0.0, 0.0]), _Tokens())
    assert still["u_share"] == 0
