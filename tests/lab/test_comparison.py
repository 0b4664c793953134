"""Comparisons from end to end: equal sizes, equal data, a rate for each, paired seeds, and nothing done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from formarium.config import ConfigError
from formarium.errors import DataError, FormariumError
from formarium.lab import record as records
from formarium.lab.claim import Card, Claim, Comparison, Contrast, Measurement, Reproduction, Setting, Variant
from formarium.lab.comparison import arms_of, compare, few_digits, with_seeds
from formarium.lab.prove import Options, prove
from formarium.lab.report import print_records, write_html
from formarium.lab.runs import Run, execute, finished

SETTING = Setting(
    model={"width": 16, "depth": 1, "heads": 2},
    task={"context": 16, "evaluation_tokens": 512},
    training={"batch_size": 2, "learning_rate": 0.01},
    seeds=2,
    learning_rates=(0.5, 1.0),
    steps=6,
)
COMPARISON = Comparison(
    task="Language",
    model="Decoder",
    variants=(
        Variant("SwiGLU", {"channel_mixer": "SwiGLU"}),
        Variant("PolyNorm", {"channel_mixer": "FeedForward(activation=PolyNorm)"}),
        Variant("wild", {"channel_mixer": "SwiGLU"}, training={"learning_rate": 1e30, "clip": None}),
    ),
    settings={"demo": SETTING},
    probes=("formarium.papers.polycom:ranks",),
)
CLAIM = Claim("better", "PolyNorm is better.", "here", "comparison", COMPARISON, (Contrast("PolyNorm", "SwiGLU"),))


def card(*claims: Claim) -> Card:
    return Card("test", "A test", "2026-01-01", ("A. Author",), ("language",), ("norm",), "", tuple(claims))


@pytest.fixture(scope="module", autouse=True)
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text for all comparisons here."""
    folder = tmp_path_factory.mktemp("text")
    for number in range(40):
        (folder / f"{number}.txt").write_text(f"document {number}: " + "the quick brown fox jumps. " * (20 + number))
    global SETTING, COMPARISON, CLAIM
    SETTING = replace(SETTING, task={**SETTING.task, "corpus": str(folder)})
    COMPARISON = replace(COMPARISON, settings={"demo": SETTING})
    CLAIM = replace(CLAIM, experiment=COMPARISON)
    return folder


def test_arms_are_equal_in_size_and_in_all_that_is_not_their_variant() -> None:
    first, second, _ = arms_of(COMPARISON, SETTING)
    assert abs(second.parameters - first.parameters) <= 0.01 * first.parameters
    assert first.task == second.task
    assert first.training == second.training
    same = first.model.channel_mixer  # type: ignore[attr-defined]
    assert second.model.replace(channel_mixer=same) == first.model


def test_every_arm_tries_the_same_rates_and_all_seeds_run(monkeypatch: pytest.MonkeyPatch) -> None:
    result = compare(COMPARISON, SETTING, ["loss@2x"], processes=1, threads=1)
    for name in ("SwiGLU", "PolyNorm"):
        arm = result.arms[name]
        assert {0.005, 0.01} <= {round(rate, 6) for rate in arm.tried}
        assert arm.learning_rate in arm.tried
        assert arm.tried[arm.learning_rate] == min(arm.tried.values())
        assert len(arm.outcomes) == 2
        assert all(o.metrics["loss"] < 5.6 and "loss@2x" in o.metrics for o in arm.outcomes)
        assert all(len(o.losses) == 6 and o.units == 6 * 2 * 16 for o in arm.outcomes)
        assert "effective_rank_in" in arm.outcomes[0].metrics
    # Seed 0 at the chosen rate was part of the choice: it is the same run, not another.
    arm = result.arms["SwiGLU"]
    assert arm.tried[arm.learning_rate] == arm.outcomes[0].metrics["loss"]
    assert result.arms["wild"].outcomes[0].diverged is not None
    # Once more costs nothing: a run that is done again would fail.
    monkeypatch.setattr("formarium.training.harness.fit", lambda *a, **k: pytest.fail("a finished run was done again"))
    again = compare(COMPARISON, SETTING, ["loss@2x"], processes=1, threads=1)
    assert [o.metrics for o in again.arms["SwiGLU"].outcomes] == [o.metrics for o in result.arms["SwiGLU"].outcomes]


def test_an_arm_may_be_another_architecture() -> None:
    comparison = Comparison(
        task="Links",
        model="LinkPredictor",
        variants=(Variant("ours"), Variant("theirs", {"n3": 0.1}, model="ComplEx(dropout=0.2)", matched=False)),
        settings={},
    )
    setting = Setting(
        model={"width": 8, "heads": 2, "token_mixer.branches": ("Attention",)}, task={"data": "Geometries(grid=3)"}
    )
    ours, theirs = arms_of(comparison, setting)
    assert ours.model.describe().startswith("LinkPredictor(")
    assert theirs.model.describe().endswith("width=8, n3=0.1, dropout=0.2)")
    assert theirs.model.entities == ours.model.entities  # type: ignore[attr-defined]
    wrong = replace(comparison, variants=(Variant("theirs", {"heads": 2}, model="ComplEx"),))
    with pytest.raises(ConfigError, match="no setting 'heads'"):
        arms_of(wrong, setting)


def test_same_seed_means_same_data_for_every_arm() -> None:
    first, second, _ = arms_of(COMPARISON, SETTING)
    batches = [next(arm.task.build().batches(2, seed=1, start=3)) for arm in (first, second)]
    assert batches[0]["tokens"].equal(batches[1]["tokens"])
    assert not batches[0]["tokens"].equal(next(first.task.build().batches(2, seed=2, start=3))["tokens"])


def test_a_claim_becomes_a_record_and_a_report(tmp_path: Path) -> None:
    (record,) = prove(card(CLAIM), "demo", (), Options(processes=1))
    assert record.verdict in ("supported", "refuted", "inconclusive")
    assert record.findings[0].values == pytest.approx(
        [a["loss"] - b["loss"] for a, b in zip(record.arms[0].metrics, record.arms[1].metrics, strict=True)]
    )
    path = record.save(tmp_path)
    text = path.read_text()
    json.loads(text, parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    assert records.load(path).save(tmp_path / "again").read_text() == text, "nothing is lost, infinite losses included"
    write_html([record], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert record.sentence.split(":")[0] in page
    assert 'src="http' not in page, "the page needs nothing from elsewhere"
    from rich.console import Console

    console = Console(record=True, width=140)
    print_records([record], console)
    assert record.verdict in console.export_text()


def test_claims_that_share_an_experiment_share_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Claim(
        "longer", "And longer.", "here", "comparison", COMPARISON, (Contrast("PolyNorm", "SwiGLU", "loss@2x"),)
    )
    first, second = prove(card(CLAIM, other), "demo", (), Options(processes=1))
    assert [a.metrics for a in first.arms] == [a.metrics for a in second.arms]
    assert first.budget == second.budget


@pytest.mark.parametrize(
    ("steps", "taken"),
    [(0, 0), (9, 9), (10, 10), (14, 10), (99, 70), (210, 200), (240, 200), (1499, 1000)],
)
def test_a_little_faster_or_slower_makes_the_same_runs(steps: int, taken: int) -> None:
    assert few_digits(steps) == taken


def test_minutes_become_steps_by_the_measured_speed() -> None:
    timed = replace(SETTING, steps=None, minutes=0.05, learning_rates=(1.0,), variants=("SwiGLU", "PolyNorm"))
    result = compare(COMPARISON, timed, processes=1, threads=1)
    planned = sum(a.cost.step_seconds for a in result.arms.values()) * 2 * result.budget.steps
    assert result.budget.steps >= 20
    assert result.budget.steps == 20 or planned <= 0.05 * 60


def test_steps_beside_minutes_are_kept_where_there_is_time_for_them() -> None:
    both = replace(SETTING, steps=21, minutes=60.0, learning_rates=(1.0,), variants=("SwiGLU",), seeds=1)
    assert compare(COMPARISON, both, processes=1, threads=1).budget.steps == 21
    assert with_seeds(both, None, 5.0) == replace(both, steps=None, minutes=5.0)
    assert with_seeds(both, 2, None) == replace(both, seeds=2)


EPOCHS = Comparison(
    task="Forecasting(data=synthetic:3x400, history=24, horizon=12)",
    model="DLinear",
    training="Training(epochs=2, batch_size=64, learning_rate=0.01, evaluate_every=1, keep=best)",
    variants=(
        Variant("DLinear"),
        Variant("shorter history", task={"history": 12}),
        Variant("no data", task={"data": "electricity"}),
    ),
    settings={"demo": Setting(learning_rates=(0.1, 1.0), seeds=2, partial=True)},
    matched=False,
    split="test",
)


def test_claims_without_data_are_left_out_where_some_may_lack(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pandas")
    monkeypatch.setenv("FORMARIUM_DATA", "/nowhere")
    setting = Setting(seeds=2, learning_rates=(1.0,), partial=True)
    there = replace(EPOCHS, variants=EPOCHS.variants[:1], settings={"demo": setting})
    nowhere = replace(there, variants=EPOCHS.variants[2:])
    first = Claim("first", "Without data.", "here", "comparison", nowhere, (Reproduction("no data", 0.1, "mse"),))
    second = Claim("second", "With data.", "here", "comparison", there, (Reproduction("DLinear", 0.001, "mse"),))
    (record,) = prove(card(first, second), "demo", (), Options(processes=1))
    assert (record.claim, record.verdict) == ("second", "refuted")
    assert "first is left out: the data of none of these is on this machine" in capsys.readouterr().err
    with pytest.raises(DataError, match="the data of none of these"):
        list(prove(card(first, second), "demo", ("first",), Options(processes=1)))


def test_a_training_cut_short_refutes_no_published_number() -> None:
    pytest.importorskip("pandas")
    setting = Setting(seeds=2, learning_rates=(1.0,))
    comparison = replace(EPOCHS, variants=EPOCHS.variants[:1], settings={"demo": setting})
    claim = Claim("number", "A number.", "here", "comparison", comparison, (Reproduction("DLinear", 0.001, "mse"),))
    (record,) = prove(card(claim), "demo", (), Options(processes=1, steps=2))
    assert record.verdict == "inconclusive"
    assert record.findings[0].label.endswith("published 0.001, after 2 of 6 steps")


def test_trainings_may_count_epochs_and_be_measured_on_the_test_split(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    from formarium.tasks import Forecasting

    monkeypatch.setenv("FORMARIUM_DATA", "/nowhere")
    comparison = EPOCHS
    setting = comparison.settings["demo"]
    arms = arms_of(comparison, setting)
    assert [(arm.variant.name, arm.steps) for arm in arms] == [("DLinear", 6), ("shorter history", 8)]
    assert arms[0].in_steps.evaluate_every == 3
    with pytest.raises(DataError, match="electricity"):
        arms_of(comparison, replace(setting, partial=False))
    with pytest.raises(DataError, match="the data of none of these is on this machine: no data"):
        arms_of(comparison, replace(setting, variants=("no data",)))
    result = compare(comparison, setting, ["mae", "step_seconds"], processes=1, threads=1)
    assert [len(outcome.losses) for arm in result.arms.values() for outcome in arm.outcomes] == [6, 6, 8, 8]
    task = arms[0].task.build()
    assert isinstance(task, Forecasting)
    outcome = result.arms["DLinear"].outcomes[0]
    assert set(outcome.metrics) == {"mse", "mae"}
    assert outcome.selection != outcome.metrics["mse"]
    assert result.arms["DLinear"].tried[result.arms["DLinear"].learning_rate] == outcome.selection


def test_measurements_and_checks_become_records() -> None:
    (record,) = prove(_builtin(), "demo", ("represents-powers",), Options(seeds=2))
    assert record.verdict == "supported"
    assert len(record.checks) == 6
    (record,) = prove(_builtin(), "demo", ("fits-smooth-functions-better",), Options(seeds=1))
    assert record.verdict == "inconclusive", "one seed decides nothing"
    assert set(record.numbers[0]) == {"ReLU", "PolyReLU"}


@pytest.mark.parametrize(("timed", "processes", "shares"), [(True, 3, (1, 6)), (False, 3, (3, 2)), (False, 9, (4, 1))])
def test_only_what_is_timed_has_the_machine_to_itself(
    timed: bool, processes: int, shares: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = []

    class Inline:
        def __init__(self, processes: int, threads: int) -> None:
            shared.append((processes, threads))

        def __enter__(self) -> "Inline":
            return self

        def __exit__(self, *exception: object) -> None:
            pass

        def all(self, calls: list[tuple[Callable[..., None], object]], advance: Callable[..., None]) -> None:
            for call, argument in calls:
                call(argument, advance)

    monkeypatch.setattr("formarium.lab.prove.Workers", Inline)
    monkeypatch.setattr("formarium.lab.prove.default_processes", lambda threads: 6 // threads)
    monkeypatch.setattr("formarium.lab.prove.look_up", lambda path: lambda seed, **options: {"a": {"loss": seed}})
    monkeypatch.setenv("FORMARIUM_CACHE", str(tmp_path))
    experiment = Measurement("some:thing", {"demo": Setting(seeds=4)}, timed=timed)
    claim = Claim("one", "A.", "here", "comparison", experiment, (Contrast("a", margin=9.0),))
    (record,) = prove(card(claim), "demo", (), Options(processes=processes))
    assert [row["a"]["loss"] for row in record.numbers] == [0, 1, 2, 3]
    assert shared == [shares]


def _builtin() -> Card:
    from formarium.papers import card as find

    return find("polycom")


def test_wrong_names_are_named_with_the_nearest() -> None:
    with pytest.raises(FormariumError, match="no claim 'beter'; did you mean 'better'"):
        next(prove(card(CLAIM), "demo", ("beter",)))
    with pytest.raises(FormariumError, match="at the scale 'gpu'; there are experiments at: demo"):
        next(prove(card(CLAIM), "gpu"))
    with pytest.raises(FormariumError, match="not built yet"):
        next(prove(card(replace(CLAIM, experiment=None)), "demo"))
    with pytest.raises(ConfigError, match="no variant 'PolyNrm'; did you mean 'PolyNorm'"):
        arms_of(COMPARISON, replace(SETTING, variants=("SwiGLU", "PolyNrm")))
    impossible = replace(COMPARISON, variants=(Variant("a"), Variant("b", {"width": 64})))
    with pytest.raises(ConfigError, match="within 1 %"):
        arms_of(impossible, SETTING)


def test_a_run_is_known_by_what_it_is(corpus: Path) -> None:
    arm = arms_of(COMPARISON, SETTING)[0]
    training = arm.training.replace(steps=2)
    run = Run(arm.model.to_dict(), arm.task.to_dict(), training.to_dict(), 0, ("loss",))
    assert run.key == replace(run).key
    assert run.key != replace(run, seed=1).key
    assert not finished(replace(run, seed=77))
    execute(replace(run, seed=77))
    assert finished(replace(run, seed=77))


KILLED = """
import sys
from pathlib import Path
from formarium.lab.claim import Comparison, Contrast, Setting, Variant
from formarium.lab.prove import Options, compare_freely
if __name__ == "__main__":
    comparison = Comparison(
        task=f"Language(corpus='{sys.argv[1]}', context=16, evaluation_tokens=512)",
        model="Decoder(width=16, depth=1, heads=2)",
        variants=(Variant("RoPE", {"position": "RoPE"}), Variant("NoPE", {"position": "NoPE"})),
        training="Training(batch_size=2)",
        settings={"laptop": Setting(seeds=2, learning_rates=(1.0,), steps=int(sys.argv[2]))},
    )
    record = compare_freely(comparison, (Contrast("NoPE", "RoPE"),), Options(processes=1))
    print([arm.metrics for arm in record.arms])
"""


def test_a_killed_proof_goes_on_with_what_is_left(tmp_path: Path, corpus: Path) -> None:
    script = tmp_path / "prove.py"
    script.write_text(KILLED)

    def start(cache: Path) -> subprocess.Popen[str]:
        environment = {**os.environ, "FORMARIUM_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        call = [sys.executable, str(script), str(corpus), "100"]
        return subprocess.Popen(call, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    cache = tmp_path / "cache"
    process = start(cache)
    deadline = time.monotonic() + 90
    while not list(cache.glob("lab/*/outcome.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {p: p.stat().st_mtime_ns for p in cache.glob("lab/*/outcome.json")}
    assert done, "something was finished before the kill"
    assert process.stderr is not None
    process.stderr.read()  # ends when no process that the killed one started is left to write to it
    out, errors = start(cache).communicate(timeout=120)
    assert out, errors
    assert {p: p.stat().st_mtime_ns for p in done} == done, "what was finished was not done again"
    whole, errors = start(tmp_path / "other").communicate(timeout=120)
    assert out == whole, errors
