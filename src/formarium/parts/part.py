"""The base of every part: a torch module that a configuration builds, and the kinds of part there are."""

from typing import Any, ClassVar

from torch import Tensor, nn

from formarium.config import Configurable
from formarium.context import Context, LayerState


class Part(Configurable, nn.Module):
    """A torch module that a nested ``Config`` describes and builds.

    ``learning_rate_factor`` multiplies the optimiser's rate for the parameters that the part holds itself; with
    ``decays`` false no weight decay pulls them towards zero, where zero is not their neutral value.
    """

    learning_rate_factor: float = 1.0
    decays: bool = True


class Norm(Part):
    """Normalises tokens: (..., D) to (..., D)."""


class Activation(Part):
    """The nonlinearity inside a channel mixer: (..., D) to (..., D)."""


class ChannelMixer(Part):
    """Mixes the channels of each token by itself: (B, T, D) to (B, T, D)."""


class TokenMixer(Part):
    """Mixes tokens: (B, T, D) to (B, T, D).

    A causal mixer also decodes: ``step`` continues from the state that earlier calls left, and its outputs are those
    of one ``forward`` over all tokens.
    ``kept_a_pair``: numbers that a gradient needs of each pair of tokens, besides a few of each head.
    """

    causal: bool = False
    kept_a_pair: int = 0

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """All tokens at once."""
        raise NotImplementedError

    def step(self, x: Tensor, context: Context, state: LayerState) -> Tensor:
        """The next T tokens (B, T, D), given and updating the layer's ``state``."""
        raise NotImplementedError(f"{type(self).__name__} does not decode step by step")

    def new_state(self, batch: int, capacity: int, like: Tensor) -> LayerState:
        """An empty decoding state for ``batch`` sequences of up to ``capacity`` tokens."""
        raise NotImplementedError(f"{type(self).__name__} does not decode step by step")


class Position(Part):
    """Whatever tells tokens where they are.

    ``acts`` says how: it may *add* to the tokens behind the stem, *turn* queries and keys, *bias* the scores before the
    softmax, or *scale* the weights behind it. ``shared`` says whether one instance serves all layers; then what it
    prepares is computed once a forward pass. ``of_pairs`` says that it does nothing but bias and scale, both whole,
    (B, H, T, S). Positions are arguments: nothing assumes that they count from zero.
    """

    acts: ClassVar[frozenset[str]] = frozenset()
    shared: bool = True
    of_pairs: bool = False
    causal_only: ClassVar[bool] = False

    def add(self, x: Tensor, context: Context) -> Tensor:
        """Tokens (B, T, D) with their places added."""
        return x

    def prepare(self, context: Context, hidden: Tensor | None = None, state: LayerState | None = None) -> Any:
        """What ``turn``, ``bias`` and ``scale`` need of one call; may read and update the layer's decoding state."""
        return None

    def turn(self, queries: Tensor, keys: Tensor, prepared: Any) -> tuple[Tensor, Tensor]:
        """Queries (B, H, T, K) and keys (B, G, T, K) of the T tokens of this call, transformed by their places."""
        return queries, keys

    def bias(self, prepared: Any) -> Tensor | None:
        """Added to the scores: broadcastable to (B, H, T, S)."""
        return None

    def scale(self, prepared: Any) -> Tensor | None:
        """Multiplies the attention weights behind the softmax: broadcastable to (B, H, T, S)."""
        return None
