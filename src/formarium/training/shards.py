"""Tensors of which each process holds a share: put together, and spread again."""

from typing import Any, cast

from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """The tensor itself, put together from all processes where it is sharded."""
    return cast(Tensor, tensor.full_tensor()) if hasattr(tensor, "full_tensor") else tensor


def spread(tensor: Tensor, like: Any) -> Tensor:
    """A tensor that all processes have, sharded as ``like`` is."""
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    # Without a source no process sends anything: each takes its share of what it has.
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
