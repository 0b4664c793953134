"""The training loop: what comes out, what is kept, and that an interrupted run goes on to the same numbers."""

import csv
import json
import math
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.errors import CheckpointError, Diverged, FormariumError
from formarium.models import Decoder, load
from formarium.models.model import Model
from formarium.tasks import Language
from formarium.tasks.task import Metric
from formarium.training import Machine, Result, Training, fit
from formarium.training.harness import CHECKPOINT, HISTORY, RESULT, RUN, Interrupted
from formarium.training.loggers import make_loggers

Config = Callable[..., Decoder.Config]
SHORT = Training(steps=8, batch_size=4, warmup=0.25)


class Stop(Exception):
    """Stands for whatever ends a process in the middle."""


def stop_at(step: int, with_: type[BaseException] = Stop) -> Callable[[int, float], None]:
    def on_step(now: int, loss: float) -> None:
        if now == step:
            raise with_

    return on_step


def weights_equal(one: Model, other: Model) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def run(model: Decoder.Config, task: Language, training: Training = SHORT, **options: Any) -> tuple[Model, Result]:
    return fit(model, task, training, **{"show": False, **options})


# ----------------------------------------------------------------------------------------------------- what comes out


def test_training_learns(small: Config, task: Language) -> None:
    steps = Training(steps=150, batch_size=16, learning_rate=1e-2)
    model, result = run(small(width=32), task, steps, metrics=["loss", "accuracy"])
    untrained = task.evaluate(small(width=32).build())["loss"]
    tokens = torch.from_numpy(task.file.splits["train"].array.astype("int64"))
    frequency = torch.bincount(tokens, minlength=257) / len(tokens)
    unigram = -(frequency[frequency > 0] * frequency[frequency > 0].log()).sum().item()
    assert result.metrics["loss"] < 0.7 * unigram < untrained  # type: ignore[operator]
    assert result.metrics == task.evaluate(model, metrics=["loss", "accuracy"])
    assert not model.training


def test_epochs_show_each_example_so_often(small: Config, task: Language) -> None:
    epoch = task.batches_per_epoch(64)
    _, result = run(small(), task, Training(epochs=2, batch_size=32, accumulation=2))
    assert result.steps == result.kept == 2 * epoch


def test_the_best_step_is_named(small: Config, task: Language) -> None:
    settings = Training(steps=12, batch_size=4, evaluate_every=3, keep="best", learning_rate=0.3)
    model, result = run(small(), task, settings)
    assert result.kept in (3, 6, 9, 12)
    assert task.evaluate(model)["loss"] == result.metrics["loss"]
    again, _ = run(small(), task, settings.replace(keep="last", steps=12), on_step=None)
    assert (result.kept == 12) == weights_equal(model, again)


def test_the_result_says_what_was_done(small: Config, task: Language) -> None:
    model, result = run(small(), task, SHORT.replace(accumulation=3))
    assert (result.steps, result.units, result.unit) == (8, 8 * 3 * 4 * 8, "tokens")
    assert len(result.losses) == 8
    assert result.parameters == model.num_parameters()
    assert result.seconds > 0
    assert result.rate > 0
    assert result.memory > 10_000_000
    assert list(result.metrics) == ["loss"]
    assert run(small(), task, metrics=None)[1].metrics == {}


def test_operations_are_those_of_the_matrix_products(small: Config, task: Language) -> None:
    d, hidden, vocabulary, length = 16, 48, 257, 8
    _, result = run(small(**{"channel_mixer.hidden": hidden}), task, SHORT.replace(steps=1))
    a_token = 4 * d * d + 3 * d * hidden + d * vocabulary + 2 * length * d
    assert result.flops == pytest.approx(3 * 2 * a_token)


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(small: Config, task: Language) -> None:
    one, other, third = (run(small(dropout=0.1), task, seed=seed) for seed in (3, 3, 4))
    assert one[1].losses == other[1].losses
    assert weights_equal(one[0], other[0])
    assert one[1].losses != third[1].losses


def test_accumulating_equals_a_larger_batch(small: Config, task: Language) -> None:
    one = run(small(), task, SHORT.replace(batch_size=8))[1]
    other = run(small(), task, SHORT.replace(batch_size=2, accumulation=4))[1]
    assert other.losses == pytest.approx(one.losses, rel=1e-5)


def test_the_step_follows_the_settings(small: Config, task: Language) -> None:
    """One step of plain Adam, by hand: the gradient clipped, the rate of the first step."""
    training = Training(steps=4, batch_size=2, learning_rate=0.1, clip=0.01, warmup=0.5, optimizer="adam", eps=0.5)
    model, _ = run(small(), task, training.replace(steps=4), on_step=None)
    torch.manual_seed(0)
    own = small().build()
    optimiser = torch.optim.Adam(own.parameters(), betas=(training.beta1, training.beta2), eps=0.5)
    for number, batch in zip(range(4), task.batches(2, seed=0), strict=False):
        loss = task.loss(own, batch)
        own.zero_grad()
        loss.backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in own.parameters()))
        for parameter in own.parameters():
            parameter.grad.mul_(min(1.0, 0.01 / norm))
        optimiser.param_groups[0]["lr"] = 0.1 * [0.5, 1.0, 1.0, 0.1 + 0.9 * 0.5][number]
        optimiser.step()
    for ours, theirs in zip(own.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_other_precisions_train(small: Config, task: Language, precision: str) -> None:
    plain = run(small(), task)[1].losses
    found = run(small(), task, SHORT.override({"precision": precision}))
    assert found[1].losses == pytest.approx(plain, rel=2e-2)
    assert found[1].losses != plain
    assert next(found[0].parameters()).dtype == (torch.float64 if precision == "64-true" else torch.float32)


def test_muon_trains(small: Config, task: Language) -> None:
    result = run(small(), task, Training(steps=40, batch_size=8, optimizer="muon"))[1]
    assert sum(result.losses[-4:]) < 0.8 * sum(result.losses[:4])


def test_a_compiled_model_trains_to_the_same_losses(small: Config, task: Language) -> None:
    plain = run(small(), task, SHORT.replace(steps=3))[1].losses
    compiled = run(small(), task, SHORT.replace(steps=3, compile=True))[1].losses
    assert compiled == pytest.approx(plain, rel=1e-4)


# ------------------------------------------------------------------------------------------------------- what is kept


def test_a_folder_keeps_the_model_and_its_history(small: Config, task: Language, tmp_path: Path) -> None:
    model, result = run(small(), task, folder=tmp_path / "run", checkpoint_every=3)
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["config.json", HISTORY, "model.safetensors", RESULT, RUN, "tokenizer.json"]
    assert weights_equal(load(tmp_path / "run"), model)
    rows = list(csv.reader((tmp_path / "run" / HISTORY).open()))
    assert rows[0] == ["step", "loss"]
    assert [float(loss) for _, loss in rows[1:]] == result.losses
    assert [int(step) for step, _ in rows[1:]] == list(range(1, 9))
    assert Result(**json.loads((tmp_path / "run" / RESULT).read_text())) == result


def test_a_finished_run_is_read_and_not_done_again(small: Config, task: Language, tmp_path: Path) -> None:
    model, result = run(small(), task, folder=tmp_path)
    again, found = run(small(), task, folder=tmp_path, on_step=stop_at(1))
    assert found == result
    assert weights_equal(again, model)


@pytest.mark.parametrize("seed", [-1, 1 << 32])
def test_a_seed_out_of_range_is_named(small: Config, task: Language, seed: int) -> None:
    with pytest.raises(ConfigError, match="a seed is a whole number from 0 to 4294967295"):
        run(small(), task, seed=seed)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("model", "its model.depth is 1, not 2"),
        ("task", "its task.z_loss is 0.0, not 0.1"),
        ("training", "its training.steps is 8, not 9"),
        ("seed", "its seed is 0, not 1"),
    ],
)
def test_the_folder_of_another_run_is_refused(
    small: Config, task: Language, tmp_path: Path, change: str, named: str
) -> None:
    run(small(), task, folder=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    other = Language(task.config.replace(z_loss=0.1))
    with pytest.raises(CheckpointError) as caught:
        run(
            small(depth=2) if change == "model" else small(),
            other if change == "task" else task,
            SHORT.replace(steps=9) if change == "training" else SHORT,
            seed=1 if change == "seed" else 0,
            folder=tmp_path,
        )
    assert str(caught.value) == f"{tmp_path} holds another run: {named}; choose another folder, or delete it"
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_setting_that_is_absent_differs_from_none(small: Config, task: Language, tmp_path: Path) -> None:
    run(small(), task, folder=tmp_path)
    kept = json.loads((tmp_path / "run.json").read_text())
    assert kept["training"]["epochs"] is None
    del kept["training"]["epochs"]
    (tmp_path / "run.json").write_text(json.dumps(kept))
    with pytest.raises(CheckpointError, match=r"its training\.epochs is not there, not None"):
        run(small(), task, folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", "[]", "the description of a run at .* is not names and values, but of the kind list"),
        ("result.json", "[1]", "the result of a run at .* is not names and values, but of the kind list"),
        ("result.json", '{"steps": 8}', r"result\.json is not the whole result of a run"),
    ],
)
def test_a_damaged_account_of_a_run_is_refused(
    small: Config, task: Language, tmp_path: Path, name: str, content: str, message: str
) -> None:
    run(small(), task, folder=tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(FormariumError, match=message):
        run(small(), task, folder=tmp_path)


def test_a_model_of_another_origin_is_not_written_over(small: Config, task: Language, tmp_path: Path) -> None:
    small().build().save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="holds a model that no training here left; choose another folder"):
        run(small(), task, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


# ------------------------------------------------------------------------------------------------ evaluation as it goes


class Scripted(Language):
    """Measures what the script says, one value an evaluation; may be killed when all is trained."""

    script: tuple[float, ...] = ()
    killed = False

    def evaluate(self, model: Model, split: Any = "validation", metrics: Any = ()) -> dict[str, Metric]:
        self.calls = getattr(self, "calls", 0) + 1
        return dict.fromkeys(metrics or ["loss"], self.script[min(self.calls, len(self.script)) - 1])

    def save(self, folder: Path) -> None:
        if self.killed:
            raise Stop
        super().save(folder)


class Rising(Scripted):
    metrics = {"loss": "higher"}


def scripted(task: Language, *script: float, kind: type[Scripted] = Scripted, killed: bool = False) -> Scripted:
    found = kind(kind.Config(**asdict(task.config)))
    found.script, found.killed = script, killed
    return found


def test_training_stops_when_patience_is_lost(small: Config, task: Language) -> None:
    training = SHORT.replace(steps=40, evaluate_every=2, patience=2)
    assert run(small(), scripted(task, 5.0, 4.0, 4.5, 4.1, 1.0), training)[1].steps == 8
    assert run(small(), scripted(task, 5.0, 4.0, 4.5, 3.0, 3.5, 2.0), training.replace(steps=12))[1].steps == 12


def test_the_headline_decides_whatever_else_is_measured(small: Config, task: Language) -> None:
    training = SHORT.replace(steps=40, evaluate_every=2, patience=1)
    _, result = run(small(), scripted(task, 5.0, 5.0, 6.0, 6.0, 1.0), training, metrics=["accuracy"])
    assert result.steps == 4


def test_the_best_weights_are_kept(small: Config, task: Language, tmp_path: Path) -> None:
    training = SHORT.replace(steps=8, evaluate_every=2, keep="best")
    at_four, _ = run(small(), task, SHORT.replace(schedule="constant", warmup=0.0, steps=4))
    training = training.replace(schedule="constant", warmup=0.0)
    best, result = run(small(), scripted(task, 5.0, 4.0, 4.5, 4.1), training, folder=tmp_path)
    assert weights_equal(best, at_four)
    assert weights_equal(load(tmp_path), at_four)
    assert result.steps == 8
    last, _ = run(small(), scripted(task, 5.0, 4.0, 4.5, 4.1), training.replace(keep="last"))
    assert not weights_equal(last, at_four)


def test_higher_is_better_where_the_task_says_so(small: Config, task: Language) -> None:
    rising = scripted(task, 1.0, 2.0, 3.0, 2.5, 2.9, kind=Rising)
    assert run(small(), rising, SHORT.replace(steps=40, evaluate_every=1, patience=2))[1].steps == 5


def test_stopping_early_survives_an_interruption(small: Config, task: Language, tmp_path: Path) -> None:
    """Killed after the last evaluation and before the result, a run ends where it would have ended."""
    training = SHORT.replace(steps=40, evaluate_every=2, patience=1)
    with pytest.raises(Stop):
        run(small(), scripted(task, 5.0, 6.0, killed=True), training, folder=tmp_path, checkpoint_every=2)
    assert (tmp_path / CHECKPOINT).exists()
    assert run(small(), scripted(task, 1.0), training, folder=tmp_path, checkpoint_every=2)[1].steps == 4


# ---------------------------------------------------------------------------------------------------- interruptions


def _resumable(small: Config) -> tuple[Decoder.Config, Training]:
    training = Training(steps=9, batch_size=3, accumulation=2, evaluate_every=3, keep="best", warmup=0.3)
    return small(dropout=0.2), training


@pytest.fixture(scope="module")
def uninterrupted(small: Config, task: Language) -> dict[str, tuple[Model, Result]]:
    model, training = _resumable(small)
    return {name: run(model, task, training.override({"optimizer": name})) for name in ("adamw", "muon")}


@hypothesis_settings(max_examples=10)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=2),
    st.integers(1, 10),
    st.sampled_from(["adamw", "muon"]),
)
def test_killed_at_any_step_it_goes_on_to_the_same_numbers(
    small: Config,
    task: Language,
    uninterrupted: dict[str, tuple[Model, Result]],
    kills: list[int],
    every: int,
    optimizer: str,
) -> None:
    model, training = _resumable(small)
    training = training.override({"optimizer": optimizer})
    with tempfile.TemporaryDirectory() as folder:
        for kill in kills:
            try:
                run(model, task, training, folder=Path(folder), checkpoint_every=every, on_step=stop_at(kill))
            except Stop:
                torch.rand(kill)  # whatever else used random numbers meanwhile
        found, result = run(model, task, training, folder=Path(folder), checkpoint_every=every)
        kept = load(folder)
    whole, expected = uninterrupted[optimizer]
    assert result.losses == expected.losses
    assert result.metrics == expected.metrics
    assert (result.steps, result.units) == (expected.steps, expected.units)
    assert weights_equal(found, whole)
    assert weights_equal(kept, whole)


_PROGRAM = """
import json, os, signal, sys, torch
torch.set_num_threads(1)
from pathlib import Path
from formarium.config import config_from_dict
from formarium.errors import FormariumError
from formarium.training import Training, fit

model, task, training, folder, number, step = json.loads(sys.argv[1])

def on_step(now, loss):
    if now == step:
        signal.raise_signal(number)

try:
    fit(config_from_dict(model), config_from_dict(task).build(), Training.from_dict(training), folder=Path(folder),
        checkpoint_every=2, show=False, on_step=on_step if number else None)
except FormariumError as error:
    print(type(error).__name__, error)
"""


def _in_a_process(
    small: Config, task: Language, folder: Path, number: int, step: int, limit: int | None = None
) -> "subprocess.CompletedProcess[str]":
    model, training = _resumable(small)
    argument = json.dumps([model.to_dict(), task.config.to_dict(), training.to_dict(), str(folder), number, step])

    def limited() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-c", _PROGRAM, argument]
    return subprocess.run(command, preexec_fn=limited, capture_output=True, text=True, check=False)


def test_a_killed_process_leaves_a_run_that_goes_on(
    small: Config, task: Language, uninterrupted: dict[str, tuple[Model, Result]], tmp_path: Path
) -> None:
    assert _in_a_process(small, task, tmp_path, signal.SIGKILL, 5).returncode == -signal.SIGKILL
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [CHECKPOINT, RUN]
    model, training = _resumable(small)
    steps: list[int] = []
    found, result = run(
        model, task, training, folder=tmp_path, checkpoint_every=2, on_step=lambda step, _: steps.append(step)
    )
    assert steps == [5, 6, 7, 8, 9]  # the checkpoint behind step 4 is the last whole one
    assert result.losses == uninterrupted["adamw"][1].losses
    assert weights_equal(found, uninterrupted["adamw"][0])


@pytest.mark.parametrize(
    ("step", "number"), [(1, signal.SIGINT), (5, signal.SIGINT), (9, signal.SIGINT), (5, signal.SIGTERM)]
)
def test_the_first_ctrl_c_finishes_the_step_and_keeps_it_and_so_does_sigterm(
    small: Config,
    task: Language,
    uninterrupted: dict[str, tuple[Model, Result]],
    tmp_path: Path,
    step: int,
    number: signal.Signals,
) -> None:
    model, training = _resumable(small)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted) as caught:
        run(model, task, training, folder=tmp_path, on_step=_press_at(step, number=number))
    assert str(caught.value) == (
        f"stopped after step {step} of 9 and kept at {tmp_path}; the same command goes on from there"
    )
    assert signal.getsignal(signal.SIGINT) is before
    found, result = run(model, task, training, folder=tmp_path)
    assert result.losses == uninterrupted["adamw"][1].losses
    assert weights_equal(found, uninterrupted["adamw"][0])


def _press_at(step: int, times: int = 1, number: int = signal.SIGINT) -> Callable[[int, float], None]:
    def on_step(now: int, loss: float) -> None:
        if now == step:
            for _ in range(times):
                signal.raise_signal(number)

    return on_step


def test_the_second_ctrl_c_stops_at_once(small: Config, task: Language, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(small(), task, folder=tmp_path, on_step=_press_at(3, times=2))
    assert signal.getsignal(signal.SIGINT) is before
    assert sorted(path.name for path in tmp_path.iterdir()) == [RUN]


def test_beside_the_main_thread_nobody_touches_signals(small: Config, task: Language) -> None:
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(run(small(), task)[1]))
    thread.start()
    thread.join()
    assert found[0].losses == run(small(), task)[1].losses


def test_ctrl_c_without_a_folder_keeps_nothing(small: Config, task: Language) -> None:
    with pytest.raises(Interrupted, match=r"^stopped after step 3 of 8$"):
        run(small(), task, on_step=_press_at(3))


# ------------------------------------------------------------------------------------------------------------ trouble


class Poisoned(Language):
    """Text whose third batch is no number."""

    def loss(self, model: Model, batch: dict[str, Tensor]) -> Tensor:
        if torch.is_grad_enabled():
            self.seen = getattr(self, "seen", 0) + 1
        return super().loss(model, batch) * (math.nan if getattr(self, "seen", 0) == 3 else 1.0)


def test_a_loss_that_is_no_number_ends_training_with_the_step(small: Config, task: Language, tmp_path: Path) -> None:
    poisoned = Poisoned(task.config)
    with pytest.raises(Diverged) as caught:
        run(small(), poisoned, SHORT.replace(learning_rate=0.0125), folder=tmp_path, checkpoint_every=1)
    assert str(caught.value) == "training diverged: the loss of step 3 is nan (peak learning rate 0.0125)"
    assert caught.value.step == 3
    # The last good step is kept, and nothing that looks like a result.
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, RUN]
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert kept["global_step"] == 2
    assert all(torch.isfinite(tensor).all() for tensor in kept["state_dict"].values())


def test_a_divergence_of_any_accumulated_batch_counts(small: Config, task: Language) -> None:
    with pytest.raises(Diverged) as caught:
        run(small(), Poisoned(task.config), SHORT.replace(accumulation=2))
    assert caught.value.step == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"no checkpoint at all",
        lambda content: content[:200] + bytes(200) + content[400:],
    ],
    ids=["truncated", "empty", "text", "overwritten"],
)
def test_a_damaged_checkpoint_is_refused(
    small: Config, task: Language, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(Stop):
        run(small(), task, folder=tmp_path, checkpoint_every=2, on_step=stop_at(5))
    content = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(damage(content))
    with pytest.raises(CheckpointError) as caught:
        run(small(), task, folder=tmp_path)
    message = str(caught.value)
    assert message.startswith(f"the checkpoint at {tmp_path / CHECKPOINT} is damaged or of another version (")
    assert message.endswith("); delete it to begin again")
    (tmp_path / CHECKPOINT).unlink()
    assert run(small(), task, folder=tmp_path)[1].losses == run(small(), task)[1].losses


def test_a_checkpoint_of_something_else_is_refused(small: Config, task: Language, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(small(), task, folder=tmp_path, checkpoint_every=2, on_step=stop_at(5))
    torch.save({"some": torch.zeros(3)}, tmp_path / CHECKPOINT)
    with pytest.raises(CheckpointError, match="is damaged or of another version"):
        run(small(), task, folder=tmp_path)


def test_a_full_disk_keeps_the_checkpoint_before(
    small: Config, task: Language, uninterrupted: dict[str, tuple[Model, Result]], tmp_path: Path
) -> None:
    model, training = _resumable(small)
    with pytest.raises(Stop):
        run(model, task, training, folder=tmp_path, checkpoint_every=2, on_step=stop_at(3))
    kept = (tmp_path / CHECKPOINT).read_bytes()
    done = _in_a_process(small, task, tmp_path, 0, 0, limit=len(kept) // 2)
    checkpoint = tmp_path / CHECKPOINT
    assert done.stdout.startswith(f"FormariumError cannot write the checkpoint {checkpoint}: File too large; the one")
    assert "the one before it is still there, and the same command goes on from it" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, RUN]
    assert checkpoint.read_bytes() == kept
    found, _ = run(model, task, training, folder=tmp_path, checkpoint_every=2)
    assert weights_equal(found, uninterrupted["adamw"][0])


def test_metrics_that_are_none_are_known_before_training(small: Config, task: Language) -> None:
    for metric in ("los", "loss@many"):
        with pytest.raises(ConfigError, match=r"measures no 'los'|'many' is no context"):
            run(small(), task, metrics=[metric], on_step=stop_at(1))


def test_a_folder_where_nothing_was_done_is_free_for_another_run(small: Config, task: Language, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(small(), task, folder=tmp_path, on_step=stop_at(2))
    assert [path.name for path in tmp_path.iterdir()] == [RUN]
    assert run(small(depth=2), task, folder=tmp_path)[1].steps == 8


def test_what_cannot_be_trained_leaves_no_folder(small: Config, task: Language, tmp_path: Path) -> None:
    with pytest.raises(FormariumError, match="at least 1"):
        run(small(), task, SHORT.replace(steps=0), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ------------------------------------------------------------------------------------------------------------ loggers


def test_the_course_is_logged(small: Config, task: Language, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    training = SHORT.replace(evaluate_every=4)
    loggers = make_loggers(["csv", "tensorboard"], tmp_path)
    _, result = run(small(), task, training, folder=tmp_path, loggers=loggers)
    rows = [row for path in tmp_path.glob("csv/**/metrics.csv") for row in csv.DictReader(path.open())]
    losses = {int(row["step"]): float(row["loss"]) for row in rows if row["loss"]}
    assert losses == pytest.approx(dict(enumerate(result.losses, 1)))
    validation = {int(row["step"]): float(row["validation_loss"]) for row in rows if row.get("validation_loss")}
    assert set(validation) == {4, 8}
    assert validation[8] == pytest.approx(result.metrics["loss"])
    assert all(float(row["tokens_per_second"]) > 0 for row in rows if row["loss"])

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 9))
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(result.losses, rel=1e-6)
    assert [event.step for event in events.Scalars("validation_loss")] == [4, 8]


def test_the_log_of_an_interrupted_run_is_kept(small: Config, task: Language, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(
            small(),
            task,
            folder=tmp_path,
            checkpoint_every=2,
            on_step=stop_at(5),
            loggers=make_loggers(["csv"], tmp_path),
        )
    run(small(), task, folder=tmp_path, checkpoint_every=2, loggers=make_loggers(["csv"], tmp_path))
    rows = [row for path in sorted(tmp_path.glob("csv/**/metrics.csv")) for row in csv.DictReader(path.open())]
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 5, 6, 7, 8]


def test_progress_is_shown_where_it_is_wanted(
    small: Config, task: Language, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(small(), task)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("formarium.progress._LINE_EVERY", 0.0)
    run(small(), task, show=True)
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("measuring: 100%")]
    assert len(said) == 8
    assert said[3].startswith("training: 50%, about")
    assert "loss 5." in said[0]
    assert "tokens/s" in said[0]


def test_a_start_that_fails_leaves_nothing_behind(small: Config, task: Language, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("training on a GPU does not fail here")
    with pytest.raises(ConfigError, match="cannot train on gpu"):
        run(small(), task, folder=tmp_path / "out", machine=Machine(accelerator="gpu"))
    assert not (tmp_path / "out").exists()


def test_a_run_found_from_another_folder_is_the_same_run(
    small: Config, task: Language, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(small(), task, folder=tmp_path / "out")[1]
    monkeypatch.chdir(tmp_path)
    assert run(small(), task, folder=tmp_path / "out")[1] == first
