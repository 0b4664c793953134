"""The functions that ComRoPE's claims measure with."""

import pytest
import torch

from formarium.config import parse
from formarium.papers import comrope
from formarium.papers.comrope import lost_by_offset, offsets, parameters, reductions, start, step_seconds
from formarium.parts import ComRoPE
from formarium.tasks import Images


@pytest.mark.parametrize("check", [offsets, reductions, start, parameters])
def test_what_is_exact_holds(check) -> None:
    found = check(0)
    assert all(one["holds"] for one in found), [one for one in found if not one["holds"]]
    assert len({one["name"] for one in found}) == len(found)


def test_rotations_that_ignore_the_constraint_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    places = ComRoPE._places
    monkeypatch.setattr(ComRoPE, "_places", lambda self, where: places(self, where) ** 2)
    moved = {one["name"]: one["holds"] for one in offsets(0)}
    assert not any(holds for name, holds in moved.items() if name.startswith("ComRoPE") and "answers" not in name)


def test_planes_are_those_of_the_matrices() -> None:
    position = comrope._position("ComRoPE(form='ld', block=4)")
    basis, rates = comrope._in_planes(position)
    torch.testing.assert_close(basis @ basis.mT, torch.eye(16, dtype=basis.dtype).expand(2, -1, -1))
    quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    for head in range(2):
        for axis in range(2):
            own = torch.block_diag(*position.angle_matrices()[head, axis].detach())
            turned = torch.block_diag(*(rate * quarter for rate in rates[head, axis].detach()))
            torch.testing.assert_close(basis[head] @ turned @ basis[head].mT, own)


def test_an_offset_costs_absolute_coordinates_accuracy_and_relative_ones_none() -> None:
    torch.manual_seed(0)
    task = Images(Images.Config(evaluation_images=128))
    base = parse("Vision(width=32, depth=1, heads=1, stem=PatchEmbedding(patch=2))")
    found = {}
    for name in ("ComRoPE", "LieRE(init_std=4.0)"):
        model = task.adapt(base.override({"position": name})).build().double().eval()
        labels = {}

        class Sees(torch.nn.Module):
            """Answers as the model does, and takes its first answers, without an offset, for the truth."""

            def __init__(self, own) -> None:
                super().__init__()
                self.own = own

            def forward(self, images, offset):
                return self.own(images.double(), offset=offset)

        class Truth:
            def examples(self, split, batch):
                for number, (images, _) in enumerate(task.examples(split, batch=batch)):
                    labels[number] = model(images.double()).argmax(-1)
                    yield images, labels[number]

        found[name] = lost_by_offset(Sees(model), Truth())
    assert found["ComRoPE"] == {"lost": 0, "lost@0.2": 0, "lost@1": 0, "lost@5": 0}
    lie = found["LieRE(init_std=4.0)"]
    assert lie["lost@1"] > 0.02
    assert lie["lost"] == pytest.approx((lie["lost@0.2"] + lie["lost@1"] + lie["lost@5"]) / 3)


def test_steps_of_all_positions_are_timed() -> None:
    positions = {"LD": "ComRoPE", "LieRE": "LieRE"}
    found = step_seconds(0, "Vision(size=8, width=32, depth=1, heads=1)", positions, batch=2, repeats=2)
    assert set(found) == set(positions)
    assert all(0 < numbers["seconds"] < 10 for numbers in found.values())
