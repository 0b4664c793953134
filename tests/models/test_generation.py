"""Continuing token sequences: what is chosen, alone and in batches, and that nothing else is changed by it."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.models import Decoder
from formarium.models.generation import Sampling, choose, generate, stream

GREEDY = Sampling(new_tokens=6, temperature=0.0)


def decoder(**changes: object) -> Decoder:
    """A tiny decoder whose scores are far from each other, so that rounding decides nothing."""
    torch.manual_seed(1)
    base = Decoder.Config(vocabulary=23, width=24, depth=2, heads=4, kv_heads=2, max_length=40, tied=False).replace(
        init_std=0.02
    )
    model: Decoder = base.override(changes).build()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval()


def by_hand(model: Decoder, prompt: list[int], new: int, penalty: float = 1.0) -> list[int]:
    """Greedy decoding by a whole forward pass over everything for each token."""
    tokens = list(prompt)
    for _ in range(new):
        with torch.no_grad():
            scores = model(torch.tensor([tokens]))[0, -1]
        for token in set(tokens):
            scores[token] = scores[token] / penalty if scores[token] > 0 else scores[token] * penalty
        tokens.append(int(scores.argmax()))
    return tokens[len(prompt) :]


SETTINGS = [
    {},
    {"position": "CARoPE(start='random')"},
    {"position": "ALiBi"},
    {"position": "Learned"},
    {"token_mixer.window": 3},
    {"token_mixer.qk_norm": "RMSNorm", "softcap": 5.0},
    {"dropout": 0.5, "placement": "post"},
]


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_greedy_decoding_is_the_best_token_of_a_whole_pass_each_time(changes: dict[str, object]) -> None:
    model = decoder(**changes).train()
    found = generate(model, [[3, 1, 4, 1, 5]], GREEDY)
    assert model.training
    assert found == [by_hand(model.eval(), [3, 1, 4, 1, 5], 6)]
    assert len(set(found[0])) > 1


@pytest.mark.parametrize("changes", SETTINGS, ids=str)
def test_prompts_of_any_lengths_in_one_batch(changes: dict[str, object]) -> None:
    model = decoder(**changes)
    prompts = [[3, 1, 4, 1, 5], [2], [7, 1, 8], [3, 1, 4, 1, 5]]
    assert generate(model, prompts, GREEDY) == [generate(model, [prompt], GREEDY)[0] for prompt in prompts]


def test_tokens_come_one_by_one() -> None:
    model = decoder()
    steps = list(stream(model, [[1], [2, 3]], GREEDY))
    assert len(steps) == 6
    assert [list(row) for row in zip(*steps, strict=True)] == generate(model, [[1], [2, 3]], GREEDY)


def test_leaving_a_stream_early_leaves_the_model_as_it_was() -> None:
    model = decoder().train()
    running = stream(model, [[1]], GREEDY)
    next(running)
    assert not model.training
    running.close()
    assert model.training


# ------------------------------------------------------------------------------------------------------------ choosing


def drawn(scores: list[float], sampling: Sampling, count: int = 4000) -> dict[int, float]:
    """How often each token is chosen."""
    rows = torch.tensor(scores).expand(count, -1)
    found = choose(rows, sampling, torch.Generator().manual_seed(0))
    return {token: number / count for token, number in enumerate(found.bincount(minlength=len(scores)).tolist())}


SCORES = [math.log(share) for share in (0.4, 0.05, 0.3, 0.2, 0.05)]


def test_sampling_follows_the_probabilities() -> None:
    assert drawn(SCORES, Sampling()) == pytest.approx({0: 0.4, 1: 0.05, 2: 0.3, 3: 0.2, 4: 0.05}, abs=0.03)


def test_temperature_sharpens_and_flattens() -> None:
    squares = {token: math.exp(2 * score) for token, score in enumerate(SCORES)}
    total = sum(squares.values())
    sharp = drawn(SCORES, Sampling(temperature=0.5))
    assert sharp == pytest.approx({token: square / total for token, square in squares.items()}, abs=0.03)
    assert drawn(SCORES, Sampling(temperature=1e6)) == pytest.approx(dict.fromkeys(range(5), 0.2), abs=0.03)
    for temperature in (0.0, 1e-6, 1e-45):
        assert drawn(SCORES, Sampling(temperature=temperature))[0] == 1.0


@given(st.lists(st.integers(-40, 40), min_size=2, max_size=12, unique=True), st.integers(1, 14), st.floats(0.05, 1.0))
def test_only_the_best_tokens_are_chosen(scores: list[int], k: int, p: float) -> None:
    rows = torch.tensor(scores, dtype=torch.float32).div(8).expand(300, -1)
    order = sorted(range(len(scores)), key=lambda token: -scores[token])
    generator = torch.Generator().manual_seed(0)
    best = choose(rows, Sampling(top_k=k), generator)
    assert set(best.tolist()) <= set(order[:k])
    probabilities = rows[0].softmax(0)
    needed = 1
    while needed < len(order) and probabilities[order[:needed]].sum() < p:
        needed += 1
    nucleus = choose(rows, Sampling(top_p=p), generator)
    assert set(nucleus.tolist()) <= set(order[:needed])
    both = choose(rows, Sampling(top_p=p, top_k=k), generator)
    assert set(both.tolist()) <= set(order[: min(k, needed)]) or k < needed


def test_what_remains_keeps_its_proportions() -> None:
    assert drawn(SCORES, Sampling(top_k=2)) == pytest.approx({0: 4 / 7, 1: 0, 2: 3 / 7, 3: 0, 4: 0}, abs=0.03)
    assert drawn(SCORES, Sampling(top_p=0.6)) == pytest.approx({0: 4 / 7, 1: 0, 2: 3 / 7, 3: 0, 4: 0}, abs=0.03)
    assert drawn(SCORES, Sampling(top_p=0.35))[0] == 1.0
    assert drawn(SCORES, Sampling(top_p=1e-9))[0] == 1.0  # the first always stays
    assert drawn(SCORES, Sampling(top_k=99, top_p=1.0)) == drawn(SCORES, Sampling())


@pytest.mark.parametrize("penalty", [1.5, 100.0, 0.5])
def test_repetition_is_discouraged(penalty: float) -> None:
    model = decoder()
    prompts = [[3, 1, 4, 1, 5], [0, 2]]
    found = generate(model, prompts, GREEDY.replace(repetition_penalty=penalty))
    assert found == [by_hand(model, prompt, 6, penalty) for prompt in prompts]
    if penalty > 1:
        assert found != generate(model, prompts, GREEDY)


class Rigged(Decoder):
    """Gives token t the score that a table says, whatever went before."""

    table: Tensor

    def step(self, tokens: Tensor, *args: object, **options: object) -> Tensor:
        super().step(tokens, *args, **options)  # type: ignore[arg-type]
        return self.table.expand(len(tokens), 1, -1)


def test_the_penalty_divides_what_is_positive_and_multiplies_what_is_negative() -> None:
    model = Rigged(Decoder.Config(vocabulary=4, width=8, depth=1, heads=1))
    model.table = torch.tensor([2.0, 1.5, -1.0, -1.5])
    chosen = generate(model, [[3]], Sampling(new_tokens=6, temperature=0.0, repetition_penalty=2.0))
    # 2.0 falls to 1.0; then 1.5 to 0.75; then 1.0 is the best for good.
    assert chosen == [[0, 1, 0, 0, 0, 0]]
    # What pads the shorter prompt, here the token 0, was not seen.
    chosen = generate(model, [[3, 3, 3], [3]], Sampling(new_tokens=2, temperature=0.0, repetition_penalty=2.0))
    assert chosen == [[0, 1], [0, 1]]
    model.table = torch.tensor([-9.0, -9.0, -1.0, -1.5])
    chosen = generate(model, [[0]], Sampling(new_tokens=4, temperature=0.0, repetition_penalty=2.0))
    assert chosen == [[2, 3, 2, 2]]  # -1.0 doubles to -2.0, which is less than -1.5; then -1.5 doubles too


# ---------------------------------------------------------------------------------------------------------------- stop


def test_a_row_that_has_ended_waits_for_the_others() -> None:
    model = decoder()
    whole = generate(model, [[1], [2, 3]], GREEDY)
    calls: list[list[int]] = []

    def stop(tokens: list[int]) -> bool:
        calls.append(list(tokens))
        return tokens == whole[0][:2]

    steps = list(stream(model, [[1], [2, 3]], GREEDY, stop))
    assert [row[0] for row in steps] == [*whole[0][:2], None, None, None, None]
    assert [row[1] for row in steps] == whole[1]
    assert generate(model, [[1], [2, 3]], GREEDY, stop) == [whole[0][:2], whole[1]]
    assert whole[0][:1] in calls
    assert whole[1] in calls


def test_all_rows_ended_end_the_work() -> None:
    assert len(list(stream(decoder(), [[1], [2, 3]], GREEDY, lambda tokens: len(tokens) == 2))) == 2


# --------------------------------------------------------------------------------------------------------------- seeds


def test_a_seed_gives_the_same_tokens_and_touches_nothing_else() -> None:
    model = decoder()
    before = torch.get_rng_state()
    one, other, third = (generate(model, [[1]] * 3, Sampling(new_tokens=9, seed=seed)) for seed in (5, 5, 6))
    assert one == other != third
    assert len({tuple(row) for row in one}) == 3
    generate(model, [[1]], Sampling(new_tokens=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_seed_each_time_is_another() -> None:
    model = decoder()
    torch.manual_seed(0)
    found = {tuple(generate(model, [[1]], Sampling(new_tokens=20))[0]) for _ in range(3)}
    assert len(found) == 3


# ------------------------------------------------------------------------------------------------------- side effects


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_that_has_generated_is_the_same_and_trains_on(tied: bool, tmp_path: Path) -> None:
    model = decoder(tied=tied)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tokens = torch.randint(23, (2, 9))
    before = model(tokens)
    generate(model, [[1, 2]], GREEDY)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    torch.testing.assert_close(model(tokens), before)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(Decoder.from_pretrained(tmp_path).eval()(tokens), before)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(2):
        model(tokens).square().mean().backward()
        optimiser.step()
    assert not any(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_half_precision_and_double_precision_generate() -> None:
    expected = generate(decoder(), [[1, 2]], GREEDY)
    assert generate(decoder().double(), [[1, 2]], GREEDY) == expected
    assert len(generate(decoder().bfloat16(), [[1, 2]], GREEDY)[0]) == 6


# ----------------------------------------------------------------------------------------------------------- bad input


def test_nothing_to_do() -> None:
    assert generate(decoder(), [], GREEDY) == []
    assert generate(decoder(), [[1], [2]], GREEDY.replace(new_tokens=0)) == [[], []]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ConfigError, match="a prompt holds at least one token to continue from"):
        generate(decoder(), [[1], []], GREEDY)


def test_a_table_of_positions_ends() -> None:
    model = decoder(position="Learned", max_length=8)
    assert len(generate(model, [[1] * 4], GREEDY.replace(new_tokens=5))[0]) == 5
    with pytest.raises(ConfigError, match="positions"):
        generate(model, [[1] * 4], GREEDY.replace(new_tokens=6))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"new_tokens": -1}, "new_tokens and temperature are at least 0"),
        ({"temperature": -0.5}, "new_tokens and temperature are at least 0"),
        ({"temperature": float("nan")}, "new_tokens and temperature are at least 0"),
        ({"top_k": 0}, "top_k is at least 1, not 0"),
        ({"top_p": 0.0}, "top_p lies above 0 and up to 1, not at 0"),
        ({"top_p": 1.5}, "not at 1.5"),
        ({"repetition_penalty": 0.0}, "the repetition penalty is above 0, not 0"),
    ],
)
def test_settings_that_choose_nothing(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(decoder(), [[1]], Sampling().override(changes))


# -------------------------------------------------------------------------------------------------------------- memory


def test_a_decoding_state_keeps_the_rows_it_is_told_to() -> None:
    model = decoder(position="CARoPE(start='random')")
    prompts = torch.tensor([[1, 2, 3], [0, 4, 5], [6, 7, 8]])
    mask = torch.tensor([[True] * 3, [False, True, True], [True] * 3])
    state = model.new_state(3, 5)
    with torch.no_grad():
        model.step(prompts, state, mask)
        state.select(torch.tensor([2, 1, 1]))
        after = model.step(torch.tensor([[9], [9], [10]]), state)
        alone = model.new_state(1, 5)
        model.step(torch.tensor([[4, 5]]), alone)
        expected = model.step(torch.tensor([[9]]), alone)
        whole = model(torch.tensor([[6, 7, 8, 9]]))[:, -1:]
    torch.testing.assert_close(after[1:2], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after[:1], whole, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(after[1], after[2], atol=1e-3)
