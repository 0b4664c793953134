"""Patches as a convolution cuts them, and where they are."""

import pytest
import torch
import torch.nn.functional as F

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.parts.stems.patch_embedding import PatchEmbedding, cell_size, grid_coordinates


def test_images_are_cut_as_a_convolution_with_that_stride_cuts_them() -> None:
    stem, images = PatchEmbedding(7, 3, PatchEmbedding.Config(patch=4)), torch.randn(2, 3, 8, 12)
    weight = stem.embed.weight.view(7, 3, 4, 4)
    want = F.conv2d(images, weight, stem.embed.bias, stride=4).flatten(2).mT
    torch.testing.assert_close(stem(images), want)
    assert stem.grid((8, 12)) == (2, 3)


@pytest.mark.parametrize("frames", [1, 2])
def test_videos_too(frames: int) -> None:
    stem, video = PatchEmbedding(7, 3, PatchEmbedding.Config(patch=4, frames=frames)), torch.randn(2, 6, 3, 8, 12)
    weight = stem.embed.weight.view(7, 3, frames, 4, 4)
    want = F.conv3d(video.transpose(1, 2), weight, stem.embed.bias, stride=(frames, 4, 4)).flatten(2).mT
    torch.testing.assert_close(stem(video), want)
    assert stem.grid((6, 8, 12)) == (6 // frames, 2, 3)


def test_places_of_patches() -> None:
    device = torch.device("cpu")
    where = grid_coordinates((2, 3), cell_size((2, 3)), torch.float64, device)[0]
    torch.testing.assert_close(where[0], torch.tensor([1 / 4, 1 / 6], dtype=torch.float64))
    torch.testing.assert_close(where[5], torch.tensor([3 / 4, 5 / 6], dtype=torch.float64))
    assert grid_coordinates((2, 3), cell_size((2, 3), "patch"), torch.float64, device)[0, 5].tolist() == [1.5, 2.5]
    assert cell_size((8, 4, 4)) == [1 / 8, 1 / 4, 1 / 4]
    assert cell_size((8, 4, 4), frame_unit="rows") == [1 / 4] * 3


def test_what_cannot_be_cut_is_said_in_a_sentence() -> None:
    stem = PatchEmbedding(7, 3, PatchEmbedding.Config(patch=4, frames=2))
    for size in ((8, 9), (0, 8), (3, 8, 8)):
        with pytest.raises(DataError, match="cannot be cut into patches"):
            stem.grid(size)
    with pytest.raises(ConfigError, match="at least one pixel"):
        PatchEmbedding(7, 3, PatchEmbedding.Config(patch=0))
