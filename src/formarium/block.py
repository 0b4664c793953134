"""The MetaFormer block: norm, token mixer, residual; norm, channel mixer, residual (Yu et al. 2022, 2111.11418)."""

from typing import Literal, cast

from torch import Tensor, nn

from formarium.context import Context, LayerState
from formarium.parts.dropout import Dropout
from formarium.parts.part import ChannelMixer, Norm, Part, TokenMixer
from formarium.parts.residual import DropPath

Placement = Literal["pre", "post"]


class Block(nn.Module):
    """x + TokenMixer(norm x), then x + ChannelMixer(norm x): (B, T, D) to (B, T, D).

    placement: ``pre`` norms what a mixer reads, ``post`` norms each sum (as the original Transformer).
    between: acts on the residual stream between the two mixers, without a residual of its own.
    drop_path: share of samples for which a branch is left out while training. scales: act on what the two mixers add.
    """

    def __init__(
        self,
        token_mixer: TokenMixer,
        channel_mixer: ChannelMixer,
        norms: tuple[Norm, Norm],
        between: Part | None = None,
        placement: Placement = "pre",
        dropout: float = 0.0,
        drop_path: float = 0.0,
        scales: tuple[Part, Part] | None = None,
    ) -> None:
        super().__init__()
        self.token_mixer, self.channel_mixer, self.between = token_mixer, channel_mixer, between
        self.token_norm, self.channel_norm = norms
        self.placement = placement
        self.token_scale: Part | None = scales[0] if scales else None
        self.channel_scale: Part | None = scales[1] if scales else None
        self.dropout = Dropout(dropout) if dropout else None
        self.drop_path = DropPath(DropPath.Config(drop_path)) if drop_path else None

    def forward(self, x: Tensor, context: Context, state: LayerState | None = None, keep: int | None = None) -> Tensor:
        """All tokens at once, or with ``state`` the next ones of a sequence.

        keep: behind the token mixer only the first so many tokens go on, for a last block whose other tokens nobody
        reads.
        """
        pre = self.placement == "pre"
        mixed = self.token_norm(x) if pre else x
        mixed = self.token_mixer(mixed, context) if state is None else self.token_mixer.step(mixed, context, state)
        if keep is not None:
            x, mixed = x[:, :keep], mixed[:, :keep]
        x = self._add(x, mixed, self.token_scale)
        if not pre:
            x = self.token_norm(x)
        if self.between is not None:
            x = self.between(x)
        x = self._add(x, self.channel_mixer(self.channel_norm(x) if pre else x), self.channel_scale)
        return x if pre else cast(Tensor, self.channel_norm(x))

    def _add(self, x: Tensor, y: Tensor, scale: Part | None) -> Tensor:
        for act in (self.dropout, scale, self.drop_path):
            y = y if act is None else act(y)
        return x + y
