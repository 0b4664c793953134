"""Linear maps that know what an optimiser and an initialiser should know of them."""

from collections.abc import Sequence

from torch import Tensor, nn


class FusedLinear(nn.Linear):
    """Several linear maps of the same input in one matrix product: (..., D) to a list of (..., D_i).

    ``splits`` are the output widths D_i; optimisers that act on whole matrices treat each part of the rows by itself.
    """

    def __init__(self, width: int, splits: Sequence[int], bias: bool = False) -> None:
        super().__init__(width, sum(splits), bias=bias)
        self.splits = list(splits)

    def forward(self, x: Tensor) -> list[Tensor]:  # type: ignore[override]
        return list(super().forward(x).split(self.splits, dim=-1))


class ResidualLinear(nn.Linear):
    """A linear map that writes into the residual stream: initialised smaller as the network gets deeper."""
