"""``formarium compare``: a user's own variants against each other."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable


@pytest.fixture
def small(corpus: Path, tmp_path: Path) -> list[object]:
    sets = {"corpus": corpus, "context": 16, "validation": 0.1, "evaluation_tokens": 320}
    pairs = [argument for name, value in sets.items() for argument in ("--set", f"{name}={value}")]
    model = ["--model", "Decoder(width=16, depth=1, heads=2)"]
    return ["language", *pairs, *model, "--steps", 3, "--seeds", 2, "--rates", "1", "--processes", 1, "--out", tmp_path]


def test_variants_are_put_side_by_side(run: Run, small: list[object], tmp_path: Path) -> None:
    variants = ["-v", "position=RoPE", "-v", "position=CARoPE", "--metric", "loss@2x"]
    done = run("--quiet", "compare", *small, *variants)
    assert (done.status, done.err) == (0, "")
    assert "position=CARoPE" in done.out
    reports, records = list(tmp_path.glob("compare/*.html")), list(tmp_path.glob("compare/*.json"))
    assert len(reports) == len(records) == 1
    assert done.out.rstrip().endswith(f"report: {reports[0]}")
    page = reports[0].read_text(encoding="utf-8")
    assert "position=CARoPE" in page
    assert 'src="http' not in page  # it needs nothing else
    record = json.loads(records[0].read_text())
    assert record["seeds"] == 2
    first, second = record["arms"]
    assert abs(first["parameters"] - second["parameters"]) < 0.01 * first["parameters"]
    assert all({"loss", "loss@2x"} <= set(metrics) for arm in record["arms"] for metrics in arm["metrics"])
    assert [finding["metric"] for finding in record["findings"]] == ["loss", "loss@2x"]
    again = run("--quiet", "compare", *small, *variants)  # what is finished is read
    assert again.status == 0
    kept = json.loads(records[0].read_text())
    assert [arm["metrics"] for arm in kept["arms"]] == [arm["metrics"] for arm in record["arms"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-v", "position=RoPE"], "error: a comparison takes at least two --variant"),
        (["-v", "depth=1", "-v", "depth=1"], "error: two variants are the same; to measure the noise, see formarium"),
        (["-v", "depth=1", "-v", "position"], "error: 'position' is not of the form name=value"),
        (["-v", "depth=1", "-v", "position=Rop"], "error: nothing is called 'Rop'; did you mean 'RoPE'?"),
        (["-v", "depth=1", "-v", "psition=RoPE"], "error: Decoder has no setting 'psition'; did you mean 'position'?"),
        (["-v", "depth=1", "-v", "depth=90"], "error: no channel_mixer.hidden brings "),
        (["-v", "depth=1", "-v", "heads=3"], "error: a width of 16 cannot be split among 3 heads"),
        (
            ["-v", "depth=1", "-v", "vocabulary=9"],
            "error: vocabulary of Decoder follows from the task: it is 257 here, not 9",
        ),
        (["--minutes", "0"], "error: an experiment takes more than 0 minutes"),
        (["--rates", "a,b"], "error: 'a,b' is not a list of numbers, as 0.5,1,2"),
        (["--rates", "0,1"], "error: factors on the learning rate are above 0, unlike some of '0,1'"),
        (["--rates", "nan"], "error: factors on the learning rate are above 0"),
        (["--metric", "los"], "error: Language measures no 'los'; did you mean 'loss'?"),
        (["--metric", "loss@many"], "error: 'many' is no context"),
        (["--metric", "loss_by_position"], "error: 'loss_by_position' is a list of numbers; variants are compared by"),
        (["--training", "Trainig"], "error: nothing is called 'Trainig'; did you mean 'Training'?"),
        (["--training", "RoPE"], "error: "),
        (["--model", "RoPE"], "error: "),
        (["--set", "context=1"], "error: a context of 1 tokens leaves nothing to predict"),
        (["--set", "corpus=nowhere.txt"], "error: no text at 'nowhere.txt'"),
    ],
)
def test_what_cannot_be_compared_is_answered_before_anything_is_trained(
    refused: Callable[..., str], small: list[object], tmp_path: Path, arguments: list[str], message: str
) -> None:
    variants = [] if "-v" in arguments else ["-v", "position=RoPE", "-v", "position=NoPE"]
    assert refused("--quiet", "compare", *small, *variants, *arguments).startswith(message)
    assert list(tmp_path.iterdir()) == []
