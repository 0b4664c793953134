import pytest
import torch
import torch.nn.functional as F

from formarium.config import ConfigError
from formarium.context import Context
from formarium.parts import LSHAttention


def places(length: int) -> torch.Tensor:
    return torch.arange(length)[None]


def test_with_two_chunks_it_is_full_attention_without_oneself() -> None:
    """Each chunk sees itself and the other, so every round is the whole; keys are queries of length 1."""
    mixer = LSHAttention(32, 4, config=LSHAttention.Config(bucket=20)).double().eval()
    x, context = torch.randn(2, 40, 32, dtype=torch.float64), Context(positions=places(40))
    q, _, v, _ = mixer._project(x, context, None)
    scores = q @ F.normalize(q, dim=-1).transpose(-1, -2) / 8**0.5
    scores = scores.masked_fill(torch.eye(40, dtype=torch.bool), -5e4)
    torch.testing.assert_close(mixer(x, context), mixer._merge(scores.softmax(-1) @ v))


def test_equal_tokens_find_each_other() -> None:
    """Many pairs of equal tokens far apart: each attends to its twin, whose score is by far the highest."""
    mixer = LSHAttention(16, 1, config=LSHAttention.Config(bucket=4, hashes=4)).eval()
    with torch.no_grad():
        mixer.qkv.weight.copy_(torch.cat((20 * torch.eye(16), torch.eye(16))))
        mixer.out.weight.copy_(torch.eye(16))
    half = F.normalize(torch.randn(1, 100, 16), dim=-1)
    x = torch.cat((half, half), dim=1)
    mixed = mixer(x, Context(positions=places(200)))
    assert F.cosine_similarity(mixed, x, dim=-1).mean() > 0.9


@pytest.mark.parametrize("length", [1, 3, 8, 61, 700])
def test_any_length_and_finite_gradients(length: int) -> None:
    mixer = LSHAttention(16, 4)
    x = torch.randn(2, length, 16, requires_grad=True)
    y = mixer(x, Context(positions=places(length)))
    y.square().sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_every_token_is_in_one_place_of_each_round() -> None:
    mixer = LSHAttention(8, 2, config=LSHAttention.Config(hashes=3)).eval()  # 4 channels a head: two hashes are needed
    order = mixer._order(torch.randn(1, 2, 120, 4), 120, None)
    assert order.shape == (1, 2, 3, 120)
    assert torch.equal(order.sort(dim=-1).values, torch.arange(120).expand(1, 2, 3, 120))


def test_evaluation_is_repeatable_and_training_rotates_anew() -> None:
    mixer = LSHAttention(16, 2).eval()
    x, context = torch.randn(1, 64, 16), Context(positions=places(64))
    assert torch.equal(mixer(x, context), mixer(x, context))
    mixer.train()
    assert not torch.equal(mixer(x, context), mixer(x, context))


def test_what_padding_holds_changes_nothing_and_documents_stay_apart() -> None:
    mixer = LSHAttention(16, 2).double().eval()
    x = torch.randn(2, 48, 16, dtype=torch.float64)
    mask = torch.ones(2, 48, dtype=torch.bool)
    mask[:, 40:] = False
    other = torch.where(mask[..., None], x, 10 * torch.randn_like(x))
    context = Context(positions=places(48), mask=mask)
    torch.testing.assert_close(mixer(x, context)[:, :40], mixer(other, context)[:, :40])
    # Where a token's chunk ends depends on the other documents, what it sees of them does not reach it.
    alone = LSHAttention(16, 2, config=LSHAttention.Config(bucket=24)).double().eval()
    segments = (torch.arange(48) >= 20).long()[None].expand(2, -1)
    changed = torch.where(segments[..., None] == 0, x, 10 * torch.randn_like(x))
    context = Context(positions=places(48), segments=segments)
    torch.testing.assert_close(alone(x, context)[:, :20], alone(changed, context)[:, :20])


def test_has_no_causal_form() -> None:
    with pytest.raises(ConfigError, match="no exact causal form"):
        LSHAttention(16, 2, causal=True)
    with pytest.raises(ConfigError, match="at least 1"):
        LSHAttention(16, 2, config=LSHAttention.Config(bucket=0))
