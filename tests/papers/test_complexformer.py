"""The functions that ComplexFormer's claims measure with."""

import math
import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from formarium.config import parse
from formarium.models import Decoder
from formarium.models.model import Model
from formarium.papers.complexformer import causality, head_spread, next_token_losses, parameters, repeated_text
from formarium.parts import EulerRoPE
from formarium.tasks import Language


class _Tokens(Language):
    """A task of random tokens, for probes that only want a batch."""

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1):  # type: ignore[no-untyped-def]
        yield {"tokens": torch.randint(64, (batch_size, 16), generator=torch.Generator().manual_seed(seed))}


class _Repeats(Model):
    """Expects the token that stood half a text ago."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, tokens: Tensor) -> Tensor:
        earlier = tokens.roll(tokens.shape[1] // 2 - 1, dims=1)
        return torch.nn.functional.one_hot(earlier, 64) * 30.0


def decoder(position: str, heads: int = 4) -> Decoder:
    sizes = {"width": 8 * heads, "depth": 2, "heads": heads, "vocabulary": 64, "max_length": 64}
    return Decoder(Decoder.Config(position=parse(position), **sizes))  # type: ignore[arg-type]


def test_causality_and_parameters_are_exact() -> None:
    checks = [*causality(0), *parameters(0)]
    assert all(check["holds"] for check in checks), checks


def test_causality_notices_a_model_that_sees_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    def looks_ahead(self: Decoder, tokens: Tensor) -> Tensor:
        return self.scores(self.hidden(tokens)) + tokens.sum()

    monkeypatch.setattr(Decoder, "forward", looks_ahead)
    assert not causality(0)[0]["holds"]


def test_spread_between_heads_is_measured() -> None:
    task = _Tokens()
    assert head_spread(decoder("RoPE"), task) == {}
    assert head_spread(decoder("EulerRoPE"), task) == {"slope_spread": 0, "offset_spread": 0}
    assert head_spread(decoder("EulerRoPE(slope=0.0)"), task) == {"offset_spread": 0}
    model = decoder("EulerRoPE", heads=2)
    for module in model.modules():
        if isinstance(module, EulerRoPE):
            assert module.slope is not None and module.offset is not None  # noqa: PT018
            module.slope.data = torch.tensor([1.0, 4.0])[:, None].expand_as(module.slope).clone()
            module.offset.data[1] = 0.5
    assert head_spread(model, task) == pytest.approx({"slope_spread": 1.5, "offset_spread": 0.25})
    tied = decoder("EulerRoPE(start='random', tied=True)")
    assert head_spread(tied, task)["slope_spread"] == 0


def test_spread_of_a_random_start_is_one_in_its_own_units() -> None:
    torch.manual_seed(0)
    found = head_spread(decoder("EulerRoPE(start='random', scale=1.0)", heads=64), _Tokens())
    assert found["slope_growth"] == pytest.approx(1, abs=0.1)
    assert found["slope_spread"] == pytest.approx(4**-0.5, abs=0.05)


def test_repeated_text_rewards_memory_only() -> None:
    kept = repeated_text(_Repeats(), _Tokens())
    assert kept == pytest.approx({"repeated_loss": 0, "repeated_loss@2x": 0}, abs=1e-6)
    naive = repeated_text(decoder("RoPE"), _Tokens())
    assert naive["repeated_loss"] > 3


def test_without_a_mask_the_answer_is_copied(tmp_path: Path) -> None:
    """Of random letters nothing can be foretold: a loss below their entropy is the answer itself, seen."""
    text = "".join(random.Random(0).choices("abcdefghijklmnop", k=20_000))
    (tmp_path / "letters.txt").write_text(text)
    sizes = {"width": 32, "depth": 1, "heads": 2, "context": 32, "batch": 8, "steps": 150}
    found = next_token_losses(0, **sizes, corpus=str(tmp_path / "letters.txt"))
    assert set(found) == {f"{a} {m} the mask" for a in ("complex attention", "RoPE") for m in ("with", "without")}
    for name in ("complex attention", "RoPE"):
        assert found[f"{name} with the mask"]["loss"] > math.log(16) - 0.05
        assert found[f"{name} without the mask"]["loss"] < math.log(16) - 0.5
