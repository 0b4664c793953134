"""Which parameter is moved how: groups, Muon, and what both do to a model."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from formarium.models import Decoder
from formarium.parts.linear import FusedLinear
from formarium.parts.part import Part
from formarium.training import Training
from formarium.training.optimisers import Muon, make_optimiser, orthogonalised, parameter_groups

Config = Callable[..., Decoder.Config]


def settings_of(model: nn.Module, training: Training) -> dict[str, dict[str, object]]:
    """Each parameter's rate, decay and splits, by its name."""
    names = {id(p): name for name, p in model.named_parameters()}
    groups = parameter_groups(model, training)
    found = {names[id(p)]: {k: v for k, v in g.items() if k != "params"} for g in groups for p in g["params"]}
    assert sum(len(group["params"]) for group in groups) == len(found)  # each in one group
    assert set(found) == set(names.values())
    return found


def test_gains_and_biases_do_not_decay(small: Config) -> None:
    model = small(tied=False, **{"token_mixer.bias": True, "channel_mixer": "FeedForward(activation=PolyNorm)"}).build()
    found = settings_of(model, Training(weight_decay=0.1, learning_rate=0.5))
    for name, parameter in model.named_parameters():
        assert found[name]["weight_decay"] == (0.1 if parameter.dim() >= 2 else 0.0), name
        assert found[name]["lr"] == 0.5
    assert {s["weight_decay"] for s in found.values()} == {0.0, 0.1}
    assert {s["weight_decay"] for s in settings_of(model, Training(optimizer="adam")).values()} == {0.0}


class Slow(Part):
    learning_rate_factor = 0.1
    decays = False

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.ones(3, 3))
        self.frozen = nn.Parameter(torch.ones(3, 3), requires_grad=False)
        self.inner = nn.Linear(3, 3)


def test_parts_ask_for_their_rate_and_decay() -> None:
    model = Slow()
    model.requires_grad_(True)
    found = settings_of(model, Training(weight_decay=0.1, learning_rate=0.5))
    assert found["own"] == {"lr": 0.05, "weight_decay": 0.0}
    assert found["inner.weight"] == {"lr": 0.5, "weight_decay": 0.1}  # it is not the part's own
    model.frozen.requires_grad_(False)
    groups = parameter_groups(model, Training())
    assert all(p is not model.frozen for group in groups for p in group["params"])


def test_muon_takes_hidden_matrices_only(small: Config) -> None:
    model = small(tied=False).build()
    found = settings_of(model, Training(optimizer="muon", learning_rate=0.5, matrix_rate=0.25, weight_decay=0.1))
    matrices = {name: s for name, s in found.items() if s["splits"] is not None}
    assert set(matrices) == {
        "blocks.0.token_mixer.qkv.weight",
        "blocks.0.token_mixer.out.weight",
        "blocks.0.channel_mixer.up.weight",
        "blocks.0.channel_mixer.down.weight",
    }
    assert matrices["blocks.0.token_mixer.qkv.weight"]["splits"] == [16, 16, 16]
    assert matrices["blocks.0.token_mixer.out.weight"]["splits"] == [16]
    assert {s["lr"] for s in matrices.values()} == {0.25}
    assert found["stem.weight"]["lr"] == found["head.weight"]["lr"] == 0.5


# --------------------------------------------------------------------------------------------------------------- muon


@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 100))
def test_singular_values_come_near_one(rows: int, columns: int, seed: int) -> None:
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    s = s.clamp(min=0.05 * s.max())  # the iteration lifts what is not nearly nothing
    found = orthogonalised(u * s @ v)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert torch.allclose(
        u.T @ found @ v.T, torch.diag(torch.diag(u.T @ found @ v.T)), atol=1e-6
    )  # the same directions


def test_scale_does_not_matter() -> None:
    matrix = torch.randn(6, 9, dtype=torch.float64)
    torch.testing.assert_close(orthogonalised(1e6 * matrix), orthogonalised(1e-3 * matrix), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(orthogonalised(matrix.T), orthogonalised(matrix).T)
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def _moved(weight: Tensor, gradient: Tensor, splits: list[int]) -> Tensor:
    parameter = nn.Parameter(weight.clone())
    parameter.grad = gradient
    Muon([{"params": [parameter], "lr": 0.1, "splits": splits}]).step()
    return parameter.data - weight


def test_maps_in_one_matrix_are_orthogonalised_by_themselves() -> None:
    weight, gradient = torch.randn(12, 4), torch.randn(12, 4)
    whole = _moved(weight, gradient, [4, 8])
    pieces = [_moved(w, g, [len(w)]) for w, g in zip(weight.split([4, 8]), gradient.split([4, 8]), strict=True)]
    torch.testing.assert_close(whole, torch.cat(pieces))
    assert not torch.allclose(whole, _moved(weight, gradient, [12]), atol=1e-3)
    # The tall map moves by sqrt(8 / 4) more.
    sizes = [torch.linalg.svdvals(piece).mean() for piece in pieces]
    assert float(sizes[1] / sizes[0]) == pytest.approx(2**0.5, rel=0.3)


def test_decay_pulls_towards_zero_and_momentum_goes_on() -> None:
    parameter = nn.Parameter(torch.full((3, 3), 2.0))
    optimiser = Muon([{"params": [parameter], "lr": 0.1, "weight_decay": 0.5, "splits": [3]}])
    parameter.grad = torch.zeros(3, 3)
    optimiser.step()
    torch.testing.assert_close(parameter.data, torch.full((3, 3), 2.0 * 0.95))
    parameter.grad = torch.eye(3)
    optimiser.step()
    before = parameter.data.clone()
    parameter.grad = torch.zeros(3, 3)
    optimiser.step()
    assert not torch.allclose(parameter.data, 0.95 * before)


def test_the_rest_goes_by_adamw() -> None:
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 7)) for _ in range(2))
    rate = {"lr": 0.05, "weight_decay": 0.1}
    muon = Muon([{"params": [ours], **rate, "splits": None}], betas=(0.9, 0.95), eps=1e-8)
    adamw = torch.optim.AdamW([{"params": [theirs], **rate}], betas=(0.9, 0.95), eps=1e-8)
    for step in range(20):
        gradient = torch.randn(7, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        adamw.step()
    torch.testing.assert_close(ours, theirs)


def test_a_parameter_without_gradient_stays() -> None:
    parameter = nn.Parameter(torch.ones(2, 2))
    assert Muon([{"params": [parameter], "lr": 0.1, "weight_decay": 0.5, "splits": [2]}]).step(lambda: 3.0) == 3.0
    assert torch.equal(parameter.data, torch.ones(2, 2))


@pytest.mark.parametrize("name", ["adamw", "adam", "muon"])
def test_every_optimiser_fits_a_line(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(FusedLinear(4, [8]), Take(), nn.Tanh(), nn.Linear(8, 1))
    training = Training().override({"optimizer": name, "learning_rate": 0.02, "weight_decay": 0.0})
    optimiser = make_optimiser(model, training)
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True).tanh()
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


class Take(nn.Module):
    def forward(self, x: list[Tensor]) -> Tensor:
        return x[0]
