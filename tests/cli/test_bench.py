"""``formarium bench``: what variants cost, side by side."""

import json
from collections.abc import Callable

import pytest

SMALL = ["--model", "Decoder(vocabulary=40, width=16, depth=1, heads=2)", "--length", 8, "--repeats", 1]


def test_variants_are_timed_side_by_side(run: Callable) -> None:
    variants = [
        "-v",
        "position=RoPE",
        "-v",
        "position=CARoPE,channel_mixer=FeedForward(activation=PolyNorm, hidden=16)",
    ]
    done = run("bench", *SMALL, *variants, "--json")
    assert (done.status, done.err) == (0, "")
    found = json.loads(done.out)
    assert list(found) == variants[1::2]
    for row in found.values():
        assert set(row) == {"parameters", "step_seconds", "tokens_per_second", "decoded_per_second"}
        assert all(number > 0 for number in row.values())
    assert len({row["parameters"] for row in found.values()}) == 2


def test_a_person_gets_a_table(run: Callable) -> None:
    done = run("bench", *SMALL)
    assert (done.status, done.err) == (0, "")
    assert "2 x 8 tokens" in done.out
    row = next(line for line in done.out.splitlines() if "Decoder" in line)
    assert "1.000" in row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "Decodr"], "error: nothing is called 'Decodr'; did you mean 'Decoder'?"),
        (["--model", "RoPE"], "error: RoPE has no setting 'position'"),
        (["-v", "posiion=RoPE"], "error: Decoder has no setting 'posiion'; did you mean 'position'?"),
        (["-v", "position"], "error: 'position' is not of the form name=value"),
        (["-v", "heads=3"], "error: a width of 16 cannot be split among 3 heads"),
        (["-v", "max_length=4,position=Learned"], "positions"),
    ],
)
def test_what_cannot_be_timed(refused: Callable[..., str], arguments: list[str], message: str) -> None:
    variants = [] if "-v" in arguments else ["-v", "position=RoPE"]
    assert message in refused("bench", *SMALL, *variants, *arguments)


def test_only_decoders_are_timed(refused: Callable[..., str]) -> None:
    assert "error: only decoders are timed, which Training is not" in refused("bench", "--model", "Training")
