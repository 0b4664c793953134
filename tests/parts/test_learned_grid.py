"""The absolute table read where tokens are: on its own grid, on another, between cells, in any unit."""

import pytest
import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.context import Context
from formarium.parts.positions.learned_grid import LearnedGrid
from formarium.parts.stems.patch_embedding import cell_size, grid_coordinates


def added(position: LearnedGrid, where: Tensor, grid: tuple[int, ...] | None = None) -> Tensor:
    context = Context(positions=torch.arange(where.shape[1])[None], coordinates=where, grid=grid)
    return position.add(torch.zeros(len(where), where.shape[1], 5, dtype=where.dtype), context).detach()


def places(grid: tuple[int, ...], unit: str = "image") -> Tensor:
    return grid_coordinates(grid, cell_size(grid, unit), torch.float64, torch.device("cpu"))


@pytest.mark.parametrize("grid", [(6,), (3, 4), (2, 3, 5)])
@pytest.mark.parametrize("unit", ["image", "patch"])
def test_tokens_on_the_grid_read_their_own_cell(grid: tuple[int, ...], unit: str) -> None:
    position = LearnedGrid(5, grid, unit).double()
    got = added(position, places(grid, unit), grid)
    torch.testing.assert_close(got[0], position.weight.detach().flatten(0, -2))


def test_another_resolution_reads_between_the_cells() -> None:
    position = LearnedGrid(5, (4, 4)).double()
    rows = torch.linspace(0, 1, 4, dtype=torch.float64)
    position.weight.data = rows[:, None, None].expand(4, 4, 5).clone()
    got = added(position, places((8, 2))).view(8, 2, 5)
    # Row r of 8 lies at (2 r - 1) / 4 cells of 4, and beyond the middle of the outermost cell nothing changes.
    want = ((2 * torch.arange(8, dtype=torch.float64) - 1) / 4).clamp(0, 3) / 3
    torch.testing.assert_close(got, want[:, None, None].expand(8, 2, 5))


def test_corners_are_where_published_code_has_them() -> None:
    position = LearnedGrid(5, (3, 2), config=LearnedGrid.Config(corners=True)).double()
    got = added(position, torch.tensor([[[0.0, 0.0], [1.0, 1.0], [0.5, 0.0], [0.25, 1.0]]], dtype=torch.float64))[0]
    table = position.weight.detach()
    torch.testing.assert_close(
        got, torch.stack((table[0, 0], table[2, 1], table[1, 0], (table[0, 1] + table[1, 1]) / 2))
    )


def test_each_item_of_a_batch_has_its_own_places() -> None:
    position = LearnedGrid(5, (3, 2)).double()
    where = torch.cat((places((3, 2)), places((3, 2)).flip(1)))
    got = added(position, where)
    torch.testing.assert_close(got[1], got[0].flip(0))


def test_what_cannot_be_is_said_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="one to three axes"):
        LearnedGrid(5, (2, 2, 2, 2))
    with pytest.raises(ConfigError, match="needs the grid"):
        added(LearnedGrid(5, (3, 2), "patch").double(), places((3, 2)))
    with pytest.raises(ConfigError, match="built for 2 axes"):
        added(LearnedGrid(5, (3, 2)).double(), places((2, 3, 2)))
