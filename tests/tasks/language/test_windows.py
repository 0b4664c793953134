"""Windows of a token stream: a function of the seed and the number of the example alone."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from formarium.tasks.language.windows import Windows

totals, lengths, seeds = st.integers(2, 400), st.integers(1, 40), st.integers(0, 2**31)


@given(totals, lengths, seeds)
def test_no_token_is_seen_twice_in_a_pass(total: int, length: int, seed: int) -> None:
    assume(total > length)
    windows = Windows(total, length, seed)
    for number in range(3):
        starts = windows.starts(number * windows.count, windows.count)
        assert starts.min() >= 0
        assert starts.max() + length + 1 <= total  # each has its successor
        seen = (starts[:, None] + np.arange(length)).ravel()
        assert len(np.unique(seen)) == len(seen)
        # At most two windows' worth of tokens wait for another pass, which starts elsewhere.
        assert len(seen) >= total - 2 * length


@given(totals, lengths, seeds, st.integers(0, 10**6), st.integers(1, 50), st.integers(0, 50))
def test_resuming_anywhere_gives_the_tail(
    total: int, length: int, seed: int, first: int, count: int, skipped: int
) -> None:
    assume(total > length)
    skipped = min(skipped, count - 1)
    whole = Windows(total, length, seed).starts(first, count)
    tail = Windows(total, length, seed).starts(first + skipped, count - skipped)
    assert np.array_equal(whole[skipped:], tail)
    assert np.array_equal(whole, Windows(total, length, seed).starts(first, count))


def test_seeds_and_passes_differ() -> None:
    windows = Windows(10_000, 10, seed=1)
    passes = [windows.starts(number * windows.count, windows.count) for number in range(2)]
    other = Windows(10_000, 10, seed=2).starts(0, windows.count)
    assert sorted(passes[0]) != list(passes[0])
    assert len({tuple(order) for order in (*passes, other)}) == 3
    offsets = {int(windows.starts(number * windows.count, windows.count).min()) % 10 for number in range(30)}
    assert len(offsets) == 10  # every offset comes up, so every token is at each place of a window


def test_every_token_is_a_target_in_the_long_run() -> None:
    windows = Windows(50, 8, seed=3)
    starts = windows.starts(0, 40 * windows.count)
    seen = set((starts[:, None] + 1 + np.arange(8)).ravel().tolist())
    assert seen >= set(range(1, 50 - 8))  # of the last window, some may never be
