import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import BaseConfig
from formarium.context import Context
from formarium.models.decoder import Decoder
from formarium.models.encoder import Encoder
from formarium.parts.channel_mixers.feed_forward import FeedForward
from formarium.parts.norms.layer_norm import LayerNorm
from formarium.parts.positions.alibi import ALiBi
from formarium.parts.positions.combined import Combined
from formarium.parts.positions.learned import Learned
from formarium.parts.positions.none import NoPE
from formarium.parts.positions.pair_index import EachOffset, GivenIndex, SignedBuckets, T5Buckets
from formarium.parts.positions.relative_bias import RelativeBias, T5Bias
from formarium.parts.positions.relative_factor import RelativeFactor
from formarium.parts.positions.rotary import RoPE
from formarium.parts.token_mixers.attend import attend, attention_weights
from formarium.parts.token_mixers.attention import Attention
from formarium.training.optimisers import parameter_groups
from formarium.training.settings import Training

DOUBLE = torch.float64
H, T, K = 2, 6, 4


def heads(seed: int = 0, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    queries, keys, values = torch.randn(3, batch, H, T, K, dtype=DOUBLE, generator=generator)
    return queries, keys, values


def toeplitz(seed: int = 0) -> Tensor:
    """A random table (2 T - 1, H) as RelativeFactor spreads it: (1, H, T, T)."""
    torch.manual_seed(seed)
    factor = RelativeFactor(H, T, causal=False, config=RelativeFactor.Config(start="normal", std=1.0)).to(DOUBLE)
    return factor.prepare(Context(positions=torch.arange(T)[None])).detach()


@pytest.mark.parametrize("causal", [False, True])
def test_factor_of_one_is_the_same_to_the_last_bit(causal):
    queries, keys, values = heads()
    bias = toeplitz()
    plain = attention_weights(queries, keys, bias=bias, causal=causal) @ values
    ones = torch.ones(1, H, T, T, dtype=DOUBLE)
    assert torch.equal(attend(queries, keys, values, bias=bias, factor=ones, causal=causal), plain)
    fused = attend(queries, keys, values, bias=bias, causal=causal)
    assert torch.allclose(fused, plain, atol=1e-14)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), a=st.floats(-5, 5))
def test_output_is_linear_in_the_factor(seed, a):
    queries, keys, values = heads(seed)
    bias, one, two = toeplitz(seed), toeplitz(seed + 1), toeplitz(seed + 2)

    def out(factor: Tensor) -> Tensor:
        return attend(queries, keys, values, bias=bias, factor=factor)

    assert torch.allclose(out(one + two), out(one) + out(two), atol=1e-12)
    assert torch.allclose(out(a * one), a * out(one), atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_agrees_with_the_formula_and_its_gradient(causal):
    queries, keys, values = heads()
    bias, factor = toeplitz(1), toeplitz(2)
    scores = torch.einsum("bhik,bhjk->bhij", queries, keys) / K**0.5 + bias
    if causal:
        scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), -torch.inf)
    want = torch.einsum("bhij,hij,bhjk->bhik", scores.softmax(-1), factor[0], values)
    assert torch.allclose(attend(queries, keys, values, bias=bias, factor=factor, causal=causal), want, atol=1e-12)
    leaves = [x.clone().requires_grad_() for x in (queries, keys, values, bias, factor)]
    assert torch.autograd.gradcheck(lambda q, k, v, b, f: attend(q, k, v, bias=b, factor=f, causal=causal), leaves)


def test_constant_tokens_get_the_sum_of_their_row():
    queries, keys, _ = heads()
    value = torch.randn(K, dtype=DOUBLE)
    factor = toeplitz()
    weights = attention_weights(queries, keys)
    out = attend(queries, keys, value.expand(2, H, T, K), factor=factor)
    assert torch.allclose(out, (weights * factor).sum(-1, keepdim=True) * value, atol=1e-12)


def test_grouped_queries_share_values():
    queries, keys, values = heads()
    keys, values = keys[:, :1], values[:, :1]
    factor = toeplitz()
    repeated = attend(queries, keys.expand(-1, H, -1, -1), values.expand(-1, H, -1, -1), factor=factor)
    assert torch.allclose(attend(queries, keys, values, factor=factor), repeated, atol=1e-13)


def encoder(position: BaseConfig, depth: int = 3) -> Encoder:
    """Random weights of order one, so that nothing is equal because it is small; no norm hides what differs."""
    torch.manual_seed(0)
    config = Encoder.Config(
        width=16,
        depth=depth,
        heads=2,
        max_length=9,
        token_mixer=Attention.Config(bias=True),
        position=position,
        channel_mixer=FeedForward.Config(bias=True),
        norm=LayerNorm.Config(),
        init_std=0.5,
    )
    model = Encoder(config).double()
    for name, parameter in model.named_parameters():
        if name.startswith("position."):
            parameter.data.add_(torch.randn_like(parameter))
    return model


BIASES = [T5Bias.Config(), RelativeBias.Config(), ALiBi.Config(), RoPE.Config()]


@pytest.mark.parametrize("position", BIASES, ids=lambda config: config.describe())
def test_constant_sequences_have_equal_rows_unless_there_is_a_factor(position):
    tokens = torch.full((1, 9), 7)
    rows = encoder(position)(tokens)[0]
    assert (rows - rows[0]).abs().max() < 1e-13
    rows = encoder(Combined.Config((position, RelativeFactor.Config())))(tokens)[0]
    assert (rows - rows[0]).abs().max() > 1e-2


def test_absolute_places_and_one_other_token_escape_as_well():
    rows = encoder(Learned.Config(std=1.0))(torch.full((1, 9), 7))[0]
    assert (rows - rows[0]).abs().max() > 1e-2
    tokens = torch.full((1, 9), 7)
    tokens[0, 0] = 3
    rows = encoder(T5Bias.Config())(tokens)[0, 1:]
    assert (rows - rows[0]).abs().max() > 1e-4


def test_constant_tables_leave_attention_blind_to_order():
    model = encoder(Combined.Config((RelativeBias.Config(), RelativeFactor.Config())))
    assert model.position is not None
    for parameter in model.position.parameters():
        parameter.data.copy_(parameter.data[:1].clone())
    tokens = torch.randint(256, (1, 9))
    order = torch.randperm(9)
    assert torch.allclose(model(tokens[:, order]), model(tokens)[:, order], atol=1e-10)


def test_reversed_tokens_and_tables_give_reversed_answers():
    model = encoder(Combined.Config((RelativeBias.Config(), RelativeFactor.Config())))
    tokens = torch.randint(256, (1, 9))
    before = model(tokens)
    assert model.position is not None
    for parameter in model.position.parameters():
        parameter.data.copy_(parameter.data.flip(0).clone())
    assert torch.allclose(model(tokens.flip(1)), before.flip(1), atol=1e-10)


def test_only_offsets_count():
    model = encoder(Combined.Config((T5Bias.Config(), RelativeFactor.Config())))
    tokens, places = torch.randint(256, (1, 9)), torch.arange(9)[None]
    assert torch.allclose(model(tokens, positions=places + 1000), model(tokens, positions=places), atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_parameters_of_a_table(causal):
    length = 50
    table = RelativeFactor(4, length, causal)
    assert sum(p.numel() for p in table.parameters()) == 4 * (length if causal else 2 * length - 1)
    assert (table.weight == 1).all()
    with_factor = Combined.Config((T5Bias.Config(), RelativeFactor.Config()))
    sizes = [encoder(position, depth=5).num_parameters() for position in (T5Bias.Config(), with_factor)]
    assert sizes[1] - sizes[0] == 2 * (2 * 9 - 1)
    own = Combined.Config((T5Bias.Config(), RelativeFactor.Config(per_layer=True)))
    per_layer = encoder(own, depth=5)
    assert per_layer.num_parameters() - sizes[0] == 5 * 2 * (2 * 9 - 1) + 4 * 2 * 32
    assert per_layer.position is None


@pytest.mark.parametrize("index", [EachOffset(), EachOffset(4), T5Buckets(8, 16), SignedBuckets(8, 16)])
def test_causal_decoding_with_padding(index):
    torch.manual_seed(0)
    position = Combined.Config((T5Bias.Config(std=1.0), RelativeFactor.Config(index=index, start="normal", std=1.0)))
    model = Decoder(Decoder.Config(width=16, depth=2, heads=2, max_length=6, position=position, init_std=0.3)).double()
    tokens = torch.randint(256, (2, 10))
    scores = model(tokens)  # longer than the table of one row for each offset
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 256
    assert torch.equal(model(changed)[:, :6], scores[:, :6])
    # Padding on the left leaves rows that see no key: they must not spoil the others.
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[0, :4] = False
    padded = model(tokens, mask=mask)
    assert padded.isfinite().all()
    assert torch.allclose(padded[0, 4:], model(tokens[:1, 4:])[0], atol=1e-12)
    state = model.new_state(2, 10)
    pieces = [model.step(tokens[:, :5], state, mask[:, :5])]
    pieces += [model.step(tokens[:, i : i + 1], state) for i in range(5, 10)]
    assert torch.allclose(torch.cat(pieces, 1)[mask], padded[mask], atol=1e-12)


def test_padded_keys_contribute_nothing():
    model = encoder(Combined.Config((RelativeBias.Config(), RelativeFactor.Config())))
    tokens = torch.randint(256, (2, 9))
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    out = model(tokens, mask=mask)
    assert torch.allclose(out[1, :6], model(tokens[1:, :6])[0], atol=1e-12)
    assert torch.allclose(out[0], model(tokens[:1])[0], atol=1e-12)


def test_distances_in_a_graph_as_index():
    """From constant nodes, the number of neighbours: blind with a bias alone, read off with a factor."""
    adjacency = torch.tensor([[0, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 1], [1, 0, 1, 0]])
    distance = torch.where(adjacency.bool(), 1, 2).fill_diagonal_(0)[None, ..., None]
    index = GivenIndex(3)
    tokens = torch.full((1, 4), 7)
    config = Encoder.Config(width=16, depth=1, heads=2, position=RelativeBias.Config(index=index), init_std=0.5)
    torch.manual_seed(0)
    rows = Encoder(config).double()(tokens, pairs=distance)[0]
    assert (rows - rows[0]).abs().max() < 1e-13
    torch.manual_seed(0)
    model = Encoder(config.replace(position=RelativeFactor.Config(index=index, start="normal", std=1.0))).double()
    rows = model(tokens, pairs=distance)[0]
    assert torch.allclose(rows[2], rows[3], atol=1e-12)  # both have two neighbours
    assert min((rows[0] - rows[1]).abs().max(), (rows[0] - rows[2]).abs().max()) > 1e-2


def test_the_table_learns_faster_and_does_not_decay():
    position = Combined.Config((T5Bias.Config(), RelativeFactor.Config()))
    model = Decoder(Decoder.Config(width=16, depth=1, heads=2, position=position))
    training = Training(learning_rate=1e-3, weight_decay=0.1)
    groups = {id(p): group for group in parameter_groups(model, training) for p in group["params"]}
    bias, factor = (groups[id(p)] for p in model.position.parameters())
    assert (bias["lr"], bias["weight_decay"]) == (1e-3, 0.1)
    assert (factor["lr"], factor["weight_decay"]) == (1e-2, 0.0)


def test_nothing_but_a_factor_is_a_position():
    model = encoder(Combined.Config((NoPE.Config(), RelativeFactor.Config(start="normal"))))
    assert model(torch.randint(256, (1, 5))).shape == (1, 5, 16)
