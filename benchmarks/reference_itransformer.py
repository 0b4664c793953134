"""iTransformer written down plainly, as one would from the paper: the yardstick for ``InvertedForecaster``.

Separate projections, explicit softmax attention, and a data set that cuts one window at a time for a data loader.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from formarium.tasks import Forecasting


class PlainAttention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out, self.dropout = nn.Linear(width, width), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        shape = (batch, length, self.heads, width // self.heads)
        q, k, v = self.query(x).view(shape), self.key(x).view(shape), self.value(x).view(shape)
        scores = torch.einsum("bthk,bshk->bhts", q, k) / math.sqrt(width // self.heads)
        weights = self.dropout(torch.softmax(scores, dim=-1))
        return self.out(torch.einsum("bhts,bshk->bthk", weights, v).reshape(batch, length, width))


class PlainLayer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = PlainAttention(width, heads, dropout)
        self.up, self.down = nn.Conv1d(width, hidden, 1), nn.Conv1d(hidden, width, 1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(x + self.dropout(self.attention(x)))
        y = self.dropout(nn.functional.gelu(self.up(x.transpose(1, 2))))
        return self.norm2(x + self.dropout(self.down(y).transpose(1, 2)))


class PlainInverted(nn.Module):
    def __init__(
        self,
        history: int = 96,
        horizon: int = 96,
        width: int = 256,
        heads: int = 8,
        hidden: int = 256,
        depth: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.embed, self.dropout = nn.Linear(history, width), nn.Dropout(dropout)
        self.layers = nn.ModuleList(PlainLayer(width, heads, hidden, dropout) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, horizon)

    def forward(self, x: Tensor, marks: Tensor) -> Tensor:
        variates = x.shape[2]
        mean = x.mean(1, keepdim=True).detach()
        x = x - mean
        scale = torch.sqrt(torch.var(x, dim=1, keepdim=True, unbiased=False) + 1e-5)
        z = self.dropout(self.embed(torch.cat((x / scale, marks), dim=2).permute(0, 2, 1)))
        for layer in self.layers:
            z = layer(z)
        y = self.head(self.norm(z)).permute(0, 2, 1)[:, :, :variates]
        return y * scale[:, 0].unsqueeze(1) + mean[:, 0].unsqueeze(1)


class PlainWindows(Dataset):
    """One window at a time, from arrays in memory."""

    def __init__(self, values: np.ndarray, marks: np.ndarray, history: int, horizon: int) -> None:
        self.values, self.marks, self.history, self.horizon = values, marks, history, horizon

    def __len__(self) -> int:
        return len(self.values) - self.history - self.horizon + 1

    def __getitem__(self, i: int) -> tuple[np.ndarray, ...]:
        middle, stop = i + self.history, i + self.history + self.horizon
        return self.values[i:middle], self.values[middle:stop], self.marks[i:middle], self.marks[middle:stop]


def plain_batches(task: Forecasting, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    windows = task.windows("train")
    rows = slice(int(windows.starts[0]), int(windows.starts[-1]) + windows.history + windows.horizon)
    marks = task.table.marks()
    assert marks is not None
    values = task.scaler.apply(task.table.values)[rows]
    loader = DataLoader(
        PlainWindows(values, marks[rows], windows.history, windows.horizon), size, shuffle=True, drop_last=True
    )
    while True:
        for x, y, x_marks, _ in loader:
            yield x.float(), y.float(), x_marks.float()
