"""Cross-entropy over all entities without their scores: these are made, used and forgotten a few queries at a time.

Scores of B queries against E entities are the largest thing in the training of a graph, and reading them again and
again the longest. A block of them that stays in the processor's cache is read for little. Shapes: B queries, E
entities, D width.
"""

from typing import Any

import torch
from torch import Tensor

_SCORES = 1 << 19  # of a block: two megabytes
_FEWEST_ROWS = 16  # below that a product is slow


def cross_entropy_of_products(
    queries: Tensor, table: Tensor, bias: Tensor | None, targets: Tensor, smoothing: float
) -> Tensor:
    """The cross-entropy of scores queries table^T + bias, (B, D), (E, D) and (E), with targets (B) and smoothed labels.

    As ``torch.nn.functional.cross_entropy`` of those scores; differentiable once. Gradients are computed on the way.
    """
    bias = table.new_zeros(len(table)) if bias is None else bias
    loss: Tensor = _CrossEntropyOfProducts.apply(queries, table, bias, targets, smoothing)
    return loss


class _CrossEntropyOfProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, table: Tensor, bias: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        batch, entities = len(queries), len(table)
        of_queries, of_table, of_bias = torch.empty_like(queries), torch.zeros_like(table), torch.zeros_like(bias)
        total = queries.new_zeros(())
        rows = min(batch, max(_FEWEST_ROWS, _SCORES // entities))
        room = queries.new_empty(rows, entities)
        for start in range(0, batch, rows):
            own, right = queries[start : start + rows], targets[start : start + rows, None]
            block = torch.addmm(bias, own, table.t(), out=room[: len(own)])
            total -= (1 - smoothing) * block.gather(1, right).sum() + smoothing * block.mean(1).sum()
            highest = block.amax(1, keepdim=True)
            sums = block.sub_(highest).exp_().sum(1, keepdim=True)
            total += (sums.log() + highest).sum()
            # From here on the block is the gradient of its scores: softmax less the smoothed labels.
            block.div_(sums * batch)
            if smoothing:
                block.sub_(smoothing / (entities * batch))
            block.scatter_add_(1, right, block.new_full(right.shape, (smoothing - 1) / batch))
            torch.mm(block, table, out=of_queries[start : start + rows])
            of_table.addmm_(block.t(), own)
            of_bias.add_(block.sum(0))
        ctx.save_for_backward(of_queries, of_table, of_bias)
        return total / batch

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        of_queries, of_table, of_bias = ctx.saved_tensors
        return of_queries * gradient, of_table * gradient, of_bias * gradient, None, None
