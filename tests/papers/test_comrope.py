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


class Itself:
    """Images as a task has them, with the answers of a model that sees no offset for the truth."""

    def __init__(self, task, model) -> None:
        self.task, self.model = task, model

    def examples(self, split, batch):
        for images, _ in self.task.examples(split, batch=batch):
            yield images.double(), self.model(images.double()).argmax(-1)


@pytest.mark.parametrize("position", ["ComRoPE", "LieRE(init_std=4.0)"])
def test_an_offset_costs_what_knows_the_origin_accuracy_and_nothing_else(position: str) -> None:
    torch.manual_seed(0)
    task = Images(Images.Config(evaluation_images=128))
    model = task.adapt(
        parse(f"Vision(width=32, depth=1, heads=1, stem=PatchEmbedding(patch=2), init_std=0.5, position={position})")
    )
    made = model.build().double().eval()
    found = lost_by_offset(made, Itself(task, made))
    deviations = [found[f"lost@{deviation}"] for deviation in ("0.2", "1", "5")]
    if position == "ComRoPE":
        assert deviations == [0, 0, 0]
    else:
        assert deviations[1] > 0.02
    assert found["lost"] == pytest.approx(sum(deviations) / 3)


def test_steps_of_all_positions_are_timed() -> None:
    positions = {"LD": "ComRoPE", "LieRE": "LieRE"}
    found = step_seconds(0, "Vision(size=8, width=32, depth=1, heads=1)", positions, batch=2, repeats=2)
    assert set(found) == set(positions)
    assert all(0 < numbers["seconds"] < 10 for numbers in found.values())
