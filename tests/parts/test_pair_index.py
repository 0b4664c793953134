import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from formarium.config import ConfigError
from formarium.context import Context
from formarium.errors import FormariumError
from formarium.parts.positions.pair_index import EachOffset, GivenIndex, PairIndex, SignedBuckets, T5Buckets


def square(index: PairIndex, length: int, max_length: int, causal: bool = False) -> torch.Tensor:
    return index.of(Context(positions=torch.arange(length)[None]), max_length, causal)[0]


@given(length=st.integers(1, 12), more=st.integers(0, 5))
def test_each_offset_has_a_row(length, more):
    longest = length + more
    for causal in (False, True):
        rows = EachOffset().rows(longest, causal)
        assert rows == (longest if causal else 2 * longest - 1)
        index = square(EachOffset(), length, longest, causal)
        for i in range(length):
            for j in range(i + 1 if causal else length):
                assert index[i, j] == j - i + longest - 1


def test_offsets_beyond_the_table_are_clipped():
    index = square(EachOffset(length=3), 10, 10)
    assert index.min() == 0
    assert index.max() == 4
    assert index[0].tolist() == [2, 3] + [4] * 8
    assert square(EachOffset(length=3), 10, 10, causal=True)[9].tolist() == [0] * 7 + [0, 1, 2]


def published(length: int, buckets: int, max_distance: int) -> list[list[int]]:
    """The index of the published code, written out for the whole matrix, its minimum taken away."""
    side = buckets // 2
    exact = side // 2

    def bucket(r: int) -> int:
        n = abs(r)
        if n >= exact:
            share = (torch.tensor(n / exact).log() / math.log(max_distance / exact)).item()
            n = min(side - 1, exact + int(share * (side - exact)))
        signed = n if r > 0 else -n if r < 0 else 0
        return signed + (2 if r >= 0 else 0)

    rows = [[bucket(j - i) for j in range(length)] for i in range(length)]
    lowest = min(min(row) for row in rows)
    return [[value - lowest for value in row] for row in rows]


@settings(deadline=None, max_examples=30)
@given(
    length=st.integers(1, 45), buckets=st.integers(4, 20), max_distance=st.integers(11, 40), shown=st.integers(1, 45)
)
def test_signed_buckets_are_those_of_the_published_code(length, buckets, max_distance, shown):
    shown = min(shown, length)
    index = square(SignedBuckets(buckets, max_distance), shown, length)
    want = torch.tensor(published(length, buckets, max_distance))[:shown, :shown]
    assert torch.equal(index, want)
    assert index.max() < SignedBuckets(buckets, max_distance).rows(length, False)


def test_signed_buckets_leave_one_row_between_the_signs():
    index = square(SignedBuckets(8, 16), 40, 40)
    assert index.unique().tolist() == [0, 1, 2, 5, 6, 7, 8]
    far = SignedBuckets(8, 16).of_offsets(torch.tensor([-1000, 1000]), 40, False)
    assert far.tolist() == [0, 8]


def test_t5_buckets():
    index = square(T5Buckets(), 200, 200, causal=True)
    assert torch.equal(index[15, :16], 15 - torch.arange(16))
    assert index[199, 0] == 31
    both = square(T5Buckets(), 200, 200)
    assert both[0, 1] == 17  # keys ahead have the upper half
    assert both[1, 0] == 1
    assert both.max() == 31
    assert T5Buckets().rows(200, False) == 32


def test_given_index_reads_its_feature():
    pairs = torch.stack((torch.zeros(2, 3, 3), torch.arange(18).view(2, 3, 3) % 5), dim=-1)
    context = Context(positions=torch.arange(3)[None], pairs=pairs)
    assert torch.equal(GivenIndex(5, feature=1).of(context, None, False), pairs[..., 1].long())
    with pytest.raises(FormariumError, match="feature 2 of each pair"):
        GivenIndex(5, feature=2).of(context, None, False)
    with pytest.raises(FormariumError, match="feature 0"):
        GivenIndex(5).of(Context(positions=torch.arange(3)[None]), None, False)


def test_settings_that_make_no_index_are_refused():
    for index, message in [
        (EachOffset(length=0), "at least 1"),
        (T5Buckets(buckets=2), "leave none that grow"),
        (T5Buckets(buckets=32, max_distance=4), "leave none that grow"),
        (SignedBuckets(buckets=3), "at least 4 buckets"),
        (GivenIndex(count=0), "at least one row"),
    ]:
        with pytest.raises(ConfigError, match=message):
            index.rows(16, False)
    with pytest.raises(ConfigError, match="neither its settings nor the model give"):
        EachOffset().rows(None, False)
    with pytest.raises(ConfigError, match="neither its settings nor the model give"):
        SignedBuckets().rows(None, False)
