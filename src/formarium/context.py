"""What travels with the tokens: where they are, which may see which, and what was seen before them.

Shapes: B batch, T tokens of this call, S tokens that can be attended to (earlier ones included), D width.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from formarium.config import ConfigError

LayerState = dict[str, Tensor]


@dataclass(frozen=True)
class PairRows:
    """Features of pairs that are made when they are needed, because all of them at once would fill the memory.

    make: from (first, last) the features (B, last - first, S, E) of these queries, last excluded, with all keys.
    step: how many queries at a time.
    """

    make: Callable[[int, int], Tensor]
    step: int


@dataclass
class Context:
    """The company of one batch of tokens; a stem makes it, parts read what they need.

    positions: (B or 1, T) integers, or (B or 1, T, N) coordinates on N axes.
    key_positions: the same for all S tokens that may be attended to; None where these are the T tokens themselves.
    segments, key_segments: (B, T), (B, S) document numbers; a token attends within its own document.
    mask: (B, S), true for real tokens; None where all are real.
    embeddings: (B, T, D), the tokens as the stem left them.
    coordinates: (B or 1, T, N) places on N axes, where positions only count the tokens.
    grid: extents of the grid that the tokens fill row by row, as (frames, rows, columns).
    pairs: (B, T, S, E) features of ordered pairs of tokens; pair_rows makes them for some queries at a time instead. A
    mixer may put others in their place, for the layers behind it.
    pair_kinds: of pairs of which many are the same, (B, T, S) the kind of each and (U, E) the features of each kind.
    degrees: (B, T) how many neighbours each token has, where tokens are nodes of a graph.
    past: how many tokens were seen before these T.
    penalties: scalars that parts ask to be added to the training loss; None where nobody adds them.
    """

    positions: Tensor
    key_positions: Tensor | None = None
    segments: Tensor | None = None
    key_segments: Tensor | None = None
    mask: Tensor | None = None
    embeddings: Tensor | None = None
    coordinates: Tensor | None = None
    grid: tuple[int, ...] | None = None
    pairs: Tensor | None = None
    pair_rows: PairRows | None = None
    pair_kinds: tuple[Tensor, Tensor] | None = None
    degrees: Tensor | None = None
    past: int = 0
    penalties: list[Tensor] | None = None
    shared: Any = None  # what a position has prepared beforehand
    _visible: dict[tuple[bool, int | None], Tensor | None] = field(default_factory=dict, repr=False)

    @property
    def length(self) -> int:
        """T, the number of tokens of this call."""
        return self.positions.shape[1]

    def on_axes(self, axes: int) -> Tensor:
        """Where the tokens are on ``axes`` axes, (B or 1, T, N): their coordinates, or on one axis their positions.

        Raises ConfigError where they are on another number of axes.
        """
        found = self.positions if self.coordinates is None else self.coordinates
        found = found[..., None] if found.dim() == 2 else found
        if found.shape[-1] != axes:
            raise ConfigError(f"a position built for {axes} axes cannot place tokens on {found.shape[-1]}")
        return found

    def with_embeddings(self, embeddings: Tensor) -> "Context":
        """The same context with the tokens as the stem left them."""
        return replace(self, embeddings=embeddings, _visible={})

    def visible(self, causal: bool, window: int | None = None) -> Tensor | None:
        """Boolean (B or 1, 1, T, S), true where query t may see key s; None where every query sees every key.

        causal: keys after the query are hidden, and with ``window`` also those ``window`` or more tokens before it.
        """
        key = (causal, window)
        if key not in self._visible:
            self._visible[key] = self._make_visible(causal, window)
        return self._visible[key]

    def plainly_causal(self, window: int | None = None) -> bool:
        """Whether the causal mask is the plain triangle over T = S tokens, which fused attention knows by itself."""
        if self.past:  # decided here: a compiler would hand a symbol to the kernel
            return False
        return self.mask is None and self.segments is None and (window is None or window >= self.length)

    def _make_visible(self, causal: bool, window: int | None) -> Tensor | None:
        device = self.positions.device
        length, total = self.length, self.past + self.length
        allowed: Tensor | None = None
        within_window = window is None or window >= total
        # A single newest token sees every earlier one.
        if causal and not (length == 1 and within_window):
            distance = torch.arange(self.past, total, device=device)[:, None] - torch.arange(total, device=device)
            allowed = distance >= 0
            if window is not None and not within_window:
                allowed &= distance < window
            allowed = allowed[None, None]
        if self.segments is not None:
            keys = self.segments if self.key_segments is None else self.key_segments
            same = (self.segments[:, :, None] == keys[:, None, :])[:, None]
            allowed = same if allowed is None else allowed & same
        if self.mask is not None:
            real = self.mask[:, None, None, :]
            allowed = real if allowed is None else allowed & real
        return allowed
