"""Positions with angle matrices: what commuting matrices keep and others do not, and what they reduce to."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.context import Context
from formarium.models.decoder import Decoder
from formarium.parts.part import Position
from formarium.parts.positions.axial_rotary import AxialRoPE
from formarium.parts.positions.block_rotary import BlockRotary
from formarium.parts.positions.block_rotation import skew, skew_part
from formarium.parts.positions.commuting_rotary import ComRoPE
from formarium.parts.positions.lie_rotary import LieRE
from formarium.parts.positions.mixed_rotary import RoPEMixed
from formarium.parts.token_mixers.attention import Attention

HEADS, WIDTH = 2, 24
COMMUTING = [
    ComRoPE.Config(form, block, scales=scales)
    for form, scales, blocks in (
        ("ap", "shared", (2, 3, 4)),
        ("ld", "shared", (2, 3, 4, 8)),
        ("ld", "per_head", (2, 8)),
    )
    for block in blocks
]


def built(config: ComRoPE.Config | LieRE.Config, axes: int = 2, heads: int = HEADS, kv_heads: int | None = None):
    return config.build(head_width=WIDTH, heads=heads, kv_heads=kv_heads, axes=axes).double()


def at(where: Tensor) -> Context:
    """Tokens at (T, N) or (B, T, N)."""
    where = where[None] if where.dim() == 2 else where
    index = torch.arange(where.shape[1])[None]
    return Context(positions=index, coordinates=where, embeddings=torch.zeros(1, 1, 1, dtype=where.dtype))


def rotations(position: Position, where: Tensor, heads: int = HEADS) -> Tensor:
    """R(x) of tokens at (T, N), as dense matrices (T, H, K, K)."""
    unit = torch.eye(WIDTH, dtype=where.dtype)[:, None, None].expand(-1, heads, len(where), -1)
    return position.turn(unit, unit, position.prepare(at(where)))[0].permute(2, 1, 3, 0)


def dense(position: BlockRotary) -> Tensor:
    """The angle matrices (G, N, K, K)."""
    return torch.stack([torch.stack([torch.block_diag(*a) for a in head]) for head in position.angle_matrices()])


def points(count: int = 5, axes: int = 2) -> Tensor:
    return 3 * torch.randn(count, axes, dtype=torch.float64)


@pytest.mark.parametrize("config", [*COMMUTING, LieRE.Config(4), LieRE.Config(8)], ids=lambda c: c.describe())
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_rotation_is_the_exponential_of_the_angle_matrices(config: ComRoPE.Config | LieRE.Config, axes: int) -> None:
    if isinstance(config, ComRoPE.Config) and config.form == "ap" and WIDTH % (config.block * axes):
        pytest.skip("the blocks cannot be shared out evenly")
    position, where = built(config, axes), points(axes=axes)
    with torch.no_grad():
        found = rotations(position, where)
        torch.testing.assert_close(
            found, torch.linalg.matrix_exp(torch.einsum("tn,hnij->thij", where, dense(position)))
        )
        unit = torch.eye(WIDTH, dtype=torch.float64).expand_as(found)
        torch.testing.assert_close(found.mT @ found, unit)
        torch.testing.assert_close(torch.linalg.det(found), torch.ones(len(where), HEADS, dtype=torch.float64))
        torch.testing.assert_close(rotations(position, 0 * where), unit)
        torch.testing.assert_close(rotations(position, -where), found.mT)


@pytest.mark.parametrize("config", COMMUTING, ids=lambda c: c.describe())
def test_commuting_matrices_make_rotations_that_add_up(config: ComRoPE.Config) -> None:
    position = built(config)
    with torch.no_grad():
        matrices = dense(position)
        first, second = matrices[:, 0], matrices[:, 1]
        assert (first @ second - second @ first).abs().amax() < 1e-13 * (first @ second).abs().amax() + 1e-30
        x, y = points(), points()
        both = rotations(position, torch.cat((x, y, x + y, y - x)))
        r_x, r_y, r_sum, r_difference = both.chunk(4)
        torch.testing.assert_close(r_x @ r_y, r_sum, atol=1e-12, rtol=0)
        torch.testing.assert_close(r_x.mT @ r_y, r_difference, atol=1e-12, rtol=0)
        # So a grid needs one exponential a row and one a column.
        by_axis = [rotations(position, x * torch.eye(2, dtype=x.dtype)[axis]) for axis in (0, 1)]
        torch.testing.assert_close(by_axis[0] @ by_axis[1], r_x, atol=1e-12, rtol=0)


def drift(config: ComRoPE.Config | LieRE.Config, offset: Tensor, dtype: torch.dtype) -> float:
    """How much attention weights change, at most, when all tokens move together."""
    torch.manual_seed(1)
    layer = Attention(HEADS * WIDTH, HEADS, position=built(config)).to(dtype)
    with torch.no_grad():
        layer.qkv.weight.normal_(std=0.1)
        x, where = torch.randn(1, 17, HEADS * WIDTH).to(dtype), torch.rand(17, 2).to(dtype)
        weights = [layer.weights(x, at(places)) for places in (where, where + offset.to(dtype))]
    return float((weights[0] - weights[1]).abs().amax())


@given(offset=st.tuples(st.floats(-5, 5), st.floats(-5, 5)))
@pytest.mark.parametrize("config", [*COMMUTING, LieRE.Config(2)], ids=lambda c: c.describe())
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_moving_all_tokens_changes_nothing(
    config: ComRoPE.Config, offset: tuple[float, float], dtype: torch.dtype, tolerance: float
) -> None:
    """LieRE with blocks of 2 as well: rotations of one plane commute."""
    assert drift(config, torch.tensor(offset, dtype=torch.float64), dtype) < tolerance


@pytest.mark.parametrize("block", [3, 4, 8])
def test_matrices_that_do_not_commute_feel_the_origin(block: int) -> None:
    assert drift(LieRE.Config(block), torch.tensor([1.0, -0.5], dtype=torch.float64), torch.float64) > 1e-2
    position = built(LieRE.Config(block))
    x, y = points(), points()
    with torch.no_grad():
        r_x, r_y, r_sum = rotations(position, torch.cat((x, y, x + y))).chunk(3)
    assert (r_x @ r_y - r_sum).abs().amax() > 0.1


@pytest.mark.parametrize("config", [ComRoPE.Config("ap", 4, 0.0), ComRoPE.Config("ld", 8, 0.0), LieRE.Config(4, 0.0)])
def test_zero_matrices_are_attention_without_positions(config: ComRoPE.Config | LieRE.Config) -> None:
    torch.manual_seed(0)
    plain = Attention(HEADS * WIDTH, HEADS).double()
    layer = Attention(HEADS * WIDTH, HEADS, position=built(config)).double()
    layer.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(2, 7, HEADS * WIDTH, dtype=torch.float64)
    torch.testing.assert_close(layer(x, at(points(7))), plain(x, at(points(7))))
    # and the way away from there is open
    layer(x, at(points(7))).square().sum().backward()
    assert layer.position.triangle.grad.abs().amax() > 0


def test_on_one_axis_linear_dependence_with_scale_one_is_lie_rotary() -> None:
    linear, lie = built(ComRoPE.Config("ld", 4), axes=1), built(LieRE.Config(4), axes=1)
    with torch.no_grad():
        linear.scales.fill_(1.0)
        lie.triangle.copy_(linear.triangle[:, None])
        where = points(axes=1)
        torch.testing.assert_close(rotations(linear, where), rotations(lie, where))


def test_axial_partition_in_planes_is_axial_rope_up_to_the_order_of_channels() -> None:
    position = built(ComRoPE.Config("ap", 2))
    axial = AxialRoPE(WIDTH, 2, config=AxialRoPE.Config(base=50.0, scale=1.0))
    count = WIDTH // 4
    with torch.no_grad():
        rates = 50.0 ** (-torch.arange(count, dtype=torch.float64) / count)
        # P = [[0, -rate], [0, 0]], whose skew part has -rate / 2 above the diagonal.
        position.triangle.copy_((-rates / 2).repeat_interleave(2)[None, :, None])
        where = points()
        found = rotations(position, where)
        want = rotations(axial, where)
    # Blocks alternate between the axes here, and come axis by axis there.
    order = torch.arange(WIDTH).view(2, count, 2).transpose(0, 1).flatten()
    torch.testing.assert_close(found, want[:, :, order][:, :, :, order])


def test_trainable_planes_with_the_rates_of_the_matrices_are_the_same_positions_in_another_basis() -> None:
    """ComRoPE is RoPE-Mixed up to an orthogonal change of basis of each head: what it can say, that can say as well."""
    position, where = built(ComRoPE.Config("ld", 8)), points()
    mixed = RoPEMixed(WIDTH, HEADS, axes=2).double()
    with torch.no_grad():
        basis, rates = position._planes(position._skew())
        mixed.frequencies.copy_((position.scales[..., None] * rates[:, None]).flatten(-2))
        torch.testing.assert_close(basis @ rotations(mixed, where) @ basis.mT, rotations(position, where))


def test_score_and_gradient_know_the_skew_part_only() -> None:
    raw = torch.randn(HEADS, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    position, where = built(ComRoPE.Config("ld", 8)), points()
    x = torch.randn(1, HEADS, 5, WIDTH, dtype=torch.float64)

    def score(matrix: Tensor) -> Tensor:
        position._parameters["triangle"] = skew_part(matrix)
        queries, keys = position.turn(x, x.flip(2), position.prepare(at(where)))
        return (queries @ keys.mT).square().sum()

    gradient = torch.autograd.grad(score(raw), raw)[0]
    torch.testing.assert_close(gradient, -gradient.mT)
    torch.testing.assert_close(score(raw), score(raw + torch.ones(8, 8, dtype=torch.float64)))


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (ComRoPE.Config("ap", 8), 12 * 8 * 28),
        (ComRoPE.Config("ld", 8), 12 * 8 * 28 + 2 * 8),
        (ComRoPE.Config("ld", 8, scales="per_head"), 12 * 8 * 28 + 12 * 2 * 8),
        (LieRE.Config(8), 12 * 2 * 8 * 28),
    ],
)
def test_parameters_of_a_layer_of_vit_base(config: ComRoPE.Config | LieRE.Config, count: int) -> None:
    """Published are those of P: 64 for each 28 here, in all 12 layers 73,728, 73,920 (76,032 by the paper), 147,456."""
    position = config.build(head_width=64, heads=12, axes=2)
    assert sum(p.numel() for p in position.parameters()) == count


def test_start_is_that_of_the_unconstrained_matrix() -> None:
    """P - P^T of a P of standard normal numbers has entries of variance 2."""
    for position in (ComRoPE(64, 200, axes=2, config=ComRoPE.Config("ap")), LieRE(64, 200, axes=2)):
        matrices = position.angle_matrices().detach()
        assert abs(float(matrices[matrices != 0].std()) - 2**0.5) < 0.02


def test_adam_takes_the_steps_that_it_would_take_with_the_unconstrained_matrix() -> None:
    raw = torch.nn.Parameter(torch.randn(HEADS, 3, 8, 8, dtype=torch.float64))
    ours, theirs = (built(ComRoPE.Config("ld", 8)) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    ours.triangle.data = skew_part(raw.detach())
    settings = {"lr": 0.05, "weight_decay": 0.1, "eps": 1e-30}
    optimisers = (torch.optim.AdamW([ours.triangle], **settings), torch.optim.AdamW([raw], **settings))
    x, where = torch.randn(1, HEADS, 5, WIDTH, dtype=torch.float64), points()
    for _ in range(4):
        theirs._parameters["triangle"] = skew_part(raw)
        for position, optimiser in zip((ours, theirs), optimisers, strict=True):
            queries, keys = position.turn(x, x.flip(2), position.prepare(at(where)))
            optimiser.zero_grad()
            (queries @ keys.mT).square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(ours._skew(), (raw - raw.mT).detach())


@pytest.mark.parametrize("config", [ComRoPE.Config("ld", 4), ComRoPE.Config("ap", 2), LieRE.Config(4), LieRE.Config(2)])
def test_grouped_queries_turn_with_the_key_that_they_share(config: ComRoPE.Config | LieRE.Config) -> None:
    grouped, single = built(config, heads=4, kv_heads=2), built(config, heads=4)
    with torch.no_grad():
        single.triangle.copy_(grouped.triangle.repeat_interleave(2, dim=0))
        if isinstance(grouped, ComRoPE) and grouped.scales is not None:
            single.scales.copy_(grouped.scales)
        queries, keys = torch.randn(2, 4, 5, WIDTH).double(), torch.randn(2, 2, 5, WIDTH).double()
        context = at(points())
        got = grouped.turn(queries, keys, grouped.prepare(context))
        want = single.turn(queries, keys.repeat_interleave(2, dim=1), single.prepare(context))
    torch.testing.assert_close(got[0], want[0])
    torch.testing.assert_close(got[1].repeat_interleave(2, dim=1), want[1])


@pytest.mark.parametrize("form", ["ap", "ld"])
@pytest.mark.parametrize("scales", ["shared", "per_head"])
def test_matrices_of_the_form_are_taken(form: str, scales: str) -> None:
    config = ComRoPE.Config(form, 4, scales=scales)
    source, target = built(config), built(config)
    with torch.no_grad():
        target.set_angle_matrices(source.angle_matrices())
        torch.testing.assert_close(target.angle_matrices(), source.angle_matrices())
    lie = built(LieRE.Config(4, scale=3.0))
    lie.set_angle_matrices(source.angle_matrices().detach(), commuting=True)
    torch.testing.assert_close(lie.angle_matrices(), source.angle_matrices())


def test_matrices_that_are_not_of_the_form_are_named_and_nothing_changes() -> None:
    free = built(LieRE.Config(4)).angle_matrices().detach()
    for config in (ComRoPE.Config("ap", 4), ComRoPE.Config("ld", 4)):
        position = built(config)
        before = position.angle_matrices().clone()
        with pytest.raises(ConfigError, match="axes 0 and 1 do not commute"):
            position.set_angle_matrices(free)
        other = built(ComRoPE.Config("ld" if config.form == "ap" else "ap", 4)).angle_matrices().detach()
        with pytest.raises(ConfigError, match="commute, but with form="):
            position.set_angle_matrices(other if config.form == "ap" else _several_scales())
        torch.testing.assert_close(position.angle_matrices(), before)
    built(LieRE.Config(4)).set_angle_matrices(free)
    with pytest.raises(ConfigError, match="do not commute"):
        built(LieRE.Config(4)).set_angle_matrices(free, commuting=True)


def _several_scales() -> Tensor:
    """Matrices that commute, as multiples of one in each half of a block, but not in the same proportion."""
    half = skew(torch.tensor([1.0], dtype=torch.float64), 2)
    first = torch.block_diag(half, half).expand(HEADS, 1, 6, 4, 4)
    second = torch.block_diag(half, -2 * half).expand(HEADS, 1, 6, 4, 4)
    return torch.cat((first, second), dim=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: built(ComRoPE.Config(block=5)), "24 channels cannot be cut into blocks of 5"),
        (lambda: built(ComRoPE.Config("ap", 8), axes=2), "blocks of 8, shared out evenly among 2 axes"),
        (lambda: built(LieRE.Config(1)), "blocks of 1"),
        (lambda: built(LieRE.Config(scale=0.0)), "cannot be 0"),
        (lambda: ComRoPE(9, 2), "blocks of 2"),
        (lambda: AxialRoPE(7, 2), "a pair of channels for each axis"),
        (lambda: RoPEMixed(4, 2, axes=3), "a pair of channels for each axis"),
        (lambda: built(ComRoPE.Config(), axes=3).prepare(at(points())), "built for 3 axes cannot place tokens on 2"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_coordinates_may_stand_in_the_place_of_positions() -> None:
    position, where = built(ComRoPE.Config()), points()
    x = torch.randn(1, HEADS, 5, WIDTH, dtype=torch.float64)
    direct = Context(positions=where[None], embeddings=x[:, 0])
    turned = [position.turn(x, x, position.prepare(context))[0] for context in (direct, at(where))]
    torch.testing.assert_close(*turned)


def test_blocks_are_as_large_as_fit_where_none_are_named() -> None:
    assert ComRoPE(64, 2, axes=2).block == 8
    assert ComRoPE(WIDTH, 2, axes=2, config=ComRoPE.Config("ap")).block == 4
    assert ComRoPE(6, 2).block == 2


DECODED = [ComRoPE.Config("ap", 2), ComRoPE.Config("ld", 3), ComRoPE.Config("ap", 4), LieRE.Config(3), LieRE.Config(4)]


@pytest.mark.parametrize("config", DECODED, ids=lambda c: c.describe())
def test_decoding_with_integer_positions_equals_one_pass(config: ComRoPE.Config | LieRE.Config) -> None:
    torch.manual_seed(0)
    settings = Decoder.Config(vocabulary=31, width=48, depth=2, heads=4, kv_heads=2, max_length=40, position=config)
    model = Decoder(settings).double().eval()
    tokens = torch.randint(31, (2, 12))
    with torch.no_grad():
        whole = model(tokens)
        state = model.new_state(2, 12)
        pieces = [model.step(tokens[:, a:b], state) for a, b in ((0, 5), (5, 6), (6, 12))]
        moved = model(tokens, positions=torch.arange(1000, 1012)[None])
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    torch.testing.assert_close(moved, whole, atol=1e-9, rtol=0)


def test_planes_are_found_anew_when_the_matrices_change_in_any_way() -> None:
    position, where = built(ComRoPE.Config("ld", 4)).eval(), points()
    with torch.no_grad():
        before = rotations(position, where)
        assert position._planes(position._skew()) is position._planes(position._skew())
        position.triangle.data.mul_(2)  # behind autograd's back
        torch.testing.assert_close(rotations(position, where / 2), before)
        position.load_state_dict(built(ComRoPE.Config("ld", 4)).state_dict())
        assert (rotations(position, where / 2) - before).abs().amax() > 0.1
        assert rotations(position.float(), where.float()).dtype == torch.float32


def test_gradients_reach_scales_and_coordinates() -> None:
    for config in (ComRoPE.Config("ld", 4), ComRoPE.Config("ld", 4, scales="per_head"), ComRoPE.Config("ld", 2)):
        position = built(config)
        where = points(2).requires_grad_()
        x = torch.randn(1, HEADS, 2, WIDTH, dtype=torch.float64)

        def out(where: Tensor, scales: Tensor, position: ComRoPE = position, x: Tensor = x) -> Tensor:
            position._parameters["scales"] = scales
            return position.turn(x, x, position.prepare(at(where)))[0]

        scales = position.scales.detach().clone().requires_grad_()
        assert torch.autograd.gradcheck(out, (where, scales))


@pytest.mark.parametrize("axes", [1, 2, 3, 4])
def test_mixed_rope_starts_as_axial_rope_in_a_turned_frame(axes: int) -> None:
    position = RoPEMixed(WIDTH, 3, axes=axes, config=RoPEMixed.Config(base=7.0))
    sizes = [WIDTH // 2 // axes + (axis < WIDTH // 2 % axes) for axis in range(axes)]
    runs = position.frequencies.detach().split(sizes, dim=-1)
    for run, size in zip(runs, sizes, strict=True):
        torch.testing.assert_close(run.norm(dim=1), 7.0 ** (-torch.arange(size) / size).expand(3, -1))
    directions = torch.stack([run[:, :, 0] / run[:, :, :1].norm(dim=1) for run in runs], dim=-1)
    torch.testing.assert_close(directions.mT @ directions, torch.eye(axes).expand(3, -1, -1), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(directions), torch.ones(3))


def test_axial_and_mixed_turn_neighbours_of_the_grid_by_the_base_frequencies() -> None:
    where = torch.tensor([[0.0, 0.0], [0.25, 0.0], [0.0, 0.125]], dtype=torch.float64)
    axial = AxialRoPE(8, 2, spacing=(0.25, 0.125), config=AxialRoPE.Config(base=100.0))
    cos, sin = axial.prepare(at(where))
    angles = torch.atan2(sin, cos)[0, 0]
    torch.testing.assert_close(angles[1], torch.tensor([1.0, 0.1, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(angles[2], torch.tensor([0, 0, 1.0, 0.1], dtype=torch.float64))
    mixed = RoPEMixed(8, 2, axes=2, spacing=(0.25, 0.125))
    torch.testing.assert_close(
        (mixed.frequencies * torch.tensor([0.25, 0.125])[:, None]).norm(dim=1)[:, 0], torch.ones(2)
    )


@pytest.mark.parametrize("position", [AxialRoPE(WIDTH, 2), RoPEMixed(WIDTH, HEADS, axes=2)])
def test_planes_depend_on_relative_places(position: Position) -> None:
    position = position.double()
    x, y = points(), points()
    with torch.no_grad():
        r_x, r_y, r_difference = rotations(position, torch.cat((x, y, y - x))).chunk(3)
    torch.testing.assert_close(r_x.mT @ r_y, r_difference.expand_as(r_x), atol=1e-6, rtol=0)
