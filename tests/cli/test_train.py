"""``formarium train``: a model in a folder, or a sentence that says why not."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from formarium.models import Decoder, load
from formarium.training.harness import CHECKPOINT, RESULT, RUN

Run = Callable


def test_the_folder_holds_all_that_using_the_model_needs(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {"config.json", "history.csv", "model.safetensors", RESULT, RUN, "tokenizer.json"}
    model = load(trained)
    assert isinstance(model, Decoder)
    assert (model.config.width, model.config.depth, model.config.vocabulary) == (16, 1, 257)
    described = json.loads((trained / RUN).read_text())
    assert described["training"]["steps"] == 8
    assert described["task"]["context"] == 16


def test_the_same_command_again_does_nothing_again(run: Run, trained: Path, short: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.iterdir()}
    done = run("train", "language", "--out", trained, *short)
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(f"model: {trained.resolve()}\n")
    assert {path: path.stat().st_mtime_ns for path in trained.iterdir()} == before


@pytest.mark.parametrize(
    "task",
    [
        "Language",
        "language(corpus={corpus}, context=16, validation=0.1, evaluation_tokens=320)",
        "Language(corpus='{corpus}')",
    ],
)
def test_tasks_are_written_in_several_ways(
    run: Run, corpus: Path, short: list[str], trained: Path, tmp_path: Path, task: str
) -> None:
    done = run("train", task.format(corpus=corpus), "--out", tmp_path, *short)
    assert done.status == 0
    assert (tmp_path / RUN).read_text() == (trained / RUN).read_text()
    assert json.loads((tmp_path / RESULT).read_text())["losses"] == json.loads((trained / RESULT).read_text())["losses"]


def test_any_setting_can_be_given(run: Run, short: list[str], tmp_path: Path) -> None:
    done = run(
        *("train", "language", "--out", tmp_path, "--model", "Decoder(position=CARoPE, dropout=0.1)", *short),
        *("-s", "model.channel_mixer=FeedForward(activation=PolyNorm, hidden=24)", "-s", "training.optimizer=muon"),
        *("-s", "task.tokenizer=bpe:300", "-s", "evaluate_every=4", "--seed", 3, "--logger", "csv"),
    )
    assert (done.status, done.err) == (0, "")
    described = json.loads((tmp_path / RUN).read_text())
    assert described["seed"] == 3
    assert described["training"]["optimizer"] == "muon"
    assert described["model"]["vocabulary"] == 300
    assert described["model"]["dropout"] == 0.1
    model = load(tmp_path)
    assert type(model.blocks[0].channel_mixer.activation).__name__ == "PolyNorm"
    assert list(tmp_path.glob("csv/*/metrics.csv"))


def test_quiet_says_no_more_than_the_outcome(run: Run, short: list[str], tmp_path: Path, corpus: Path) -> None:
    settings = [*short, "-s", "task.validation=0.15"]  # a token file of its own
    loud = run("train", "language", "--out", tmp_path / "a", *settings)
    assert loud.err == ""
    assert run("--quiet", "train", "language", "--out", tmp_path / "b", *settings).err == ""


def test_under_torchrun_one_process_speaks_for_all(short: list[str], tmp_path: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    command = [*torchrun, "-m", "formarium.cli.main", "train", "language", "--out", str(tmp_path), *short]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("8 steps, 1,024 tokens, ")
    assert last == f"model: {tmp_path.resolve()}"


# ------------------------------------------------------------------------------------------------------- interruptions

_PRESSED = """
import signal, sys, torch
torch.set_num_threads(1)
import formarium.training.harness as harness
whole = harness._Steps.on_train_batch_end
def pressed(self, trainer, *rest):
    if trainer.global_step == 5:
        signal.raise_signal(signal.SIGINT)
    whole(self, trainer, *rest)
harness._Steps.on_train_batch_end = pressed
from formarium.cli.main import main
main()
"""


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    run: Run, short: list[str], trained: Path, tmp_path: Path
) -> None:
    arguments = ["train", "language", "--out", str(tmp_path), *short]
    command = [sys.executable, "-c", _PRESSED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "stopping behind this step; Ctrl-C again stops at once",
        f"error: stopped after step 5 of 8 and kept at {tmp_path}; the same command goes on from there",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT, RUN]
    assert run(*arguments).status == 0
    found, whole = (json.loads((folder / RESULT).read_text()) for folder in (tmp_path, trained))
    assert found["losses"] == whole["losses"]
    assert found["metrics"] == whole["metrics"]
    ours, theirs = load(tmp_path).state_dict(), load(trained).state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_ctrl_c_while_tokens_are_made(
    run: Run, short: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    cache = tmp_path / "cache"
    monkeypatch.setenv("FORMARIUM_CACHE", str(cache))
    monkeypatch.setattr("formarium.tasks.language.tokenizers.Bytes.encode", pressed)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin without
    try:
        done = run("train", "language", "--out", tmp_path / "out", *short)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.status == 130
    assert done.err == "interrupted; what is finished is kept, and the same command goes on from there\n"
    assert all(path.suffix == ".lock" for path in (cache / "tokens").iterdir())


# ----------------------------------------------------------------------------------------------------------- bad input


def test_a_divergence_is_status_one(run: Run, short: list[str], tmp_path: Path) -> None:
    done = run("train", "language", "--out", tmp_path, *short, "-s", "learning_rate=1e30", "-s", "clip=none")
    assert done.status == 1
    assert done.out == ""
    assert done.err.startswith("error: training diverged: the loss of step ")
    assert done.err.endswith("(peak learning rate 1e+30)\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["languag"], "error: nothing is called 'Languag'; did you mean 'Language'?"),
        (["language("], "error: 'Language(' is not of the form Name or Name(field=value, ...)"),
        (["Training"], "error: 'Training' is not a task"),
        (["RoPE"], "error: 'RoPE' is not a task"),
        (["language", "--model", "Decodr"], "error: nothing is called 'Decodr'; did you mean 'Decoder'?"),
        (["language", "--model", "RoPE"], "error: language modelling takes a Decoder, which a RoPE is not"),
        (["language", "-s", "steps"], "error: 'steps' is not of the form name=value"),
        (["language", "-s", "steps=many"], "error: steps of Training must be int, not 'many'"),
        (["language", "-s", "steps=0"], "error: steps, batch_size and accumulation are at least 1"),
        (["language", "-s", "stepz=3"], "error: Training has no setting 'stepz'; did you mean 'steps'?"),
        (["language", "-s", "model.widht=3"], "error: Decoder has no setting 'widht'; did you mean 'width'?"),
        (["language", "-s", "model.width=17"], "error: a width of 17 cannot be split among 2 heads"),
        (["language", "-s", "model.position=Rop"], "error: nothing is called 'Rop'; did you mean 'RoPE'?"),
        (["language", "-s", "task.context=1"], "error: a context of 1 tokens leaves nothing to predict"),
        (["language", "-s", "task.context=100000"], "error: the train split of"),
        (["language", "-s", "task.corpus=nowhere.txt"], "error: no text at 'nowhere.txt'"),
        (["language", "-s", "task.tokenizer=bpe:many"], "error: 'bpe:many': behind 'bpe:' stands a number of tokens"),
        (["language", "--logger", "csvv"], "error: there is no logger 'csvv'; did you mean 'csv'?"),
        (["language", "--devices", "some"], "error: 'some' is not one of auto"),
        (["language", "--devices", "0"], "error: devices is at least 1, not 0"),
        (["language", "--strategy", "dpd"], "error: 'dpd' is not one of auto, ddp, fsdp"),
        (["language", "--accelerator", "abacus"], "error: 'abacus' is not one of auto, cpu, gpu, mps"),
    ],
)
def test_what_cannot_be_meant_is_answered_before_anything_is_done(
    refused: Callable[..., str], short: list[str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    task, *rest = arguments
    settings = [] if task in ("Training", "RoPE") else short
    assert refused("train", task, "--out", tmp_path / "out", *settings, *rest).startswith(message)
    assert not (tmp_path / "out" / RESULT).exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(refused: Callable[..., str], short: list[str], tmp_path: Path) -> None:
    message = refused("train", "language", "--out", tmp_path / "out", *short, "--accelerator", "gpu")
    assert message.startswith("error: this machine cannot train on gpu: ")


def test_places_that_cannot_hold_a_model(
    refused: Callable[..., str], short: list[str], trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert "cannot write" in refused("train", "language", "--out", tmp_path / "file", *short)
    assert "cannot write" in refused("train", "language", "--out", tmp_path / "file" / "below", *short)
    message = refused("train", "language", "--out", trained, *short, "-s", "steps=9")
    assert (
        message
        == f"error: {trained} holds another run: its training.steps is 8, not 9; choose another folder, or delete it"
    )
    Decoder.Config(width=8, depth=1, heads=1).build().save_pretrained(tmp_path / "model")
    assert "holds a model that no training here left" in refused(
        "train", "language", "--out", tmp_path / "model", *short
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "holds no text"),
        ("blank.jsonl", b"\n\n", "holds no text"),
        ("short.txt", b"few words", "fewer than one context of 16 and its successor; take more text or a shorter"),
        ("bad.txt", b"\xff\xfe\x00", "is not UTF-8 text: byte 0 cannot be read; convert it, or leave it out"),
        ("bad.jsonl", b"{", "line 1, is not JSON"),
        ("bad.parquet", b"PAR1", "is not a readable Parquet file"),
    ],
)
def test_texts_that_cannot_be_learnt(
    refused: Callable[..., str], short: list[str], tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    settings = [*short, "-s", f"task.corpus={tmp_path / name}"]
    said = refused("train", "language", "--out", tmp_path / "out", *settings)
    assert said.startswith("error: ")
    assert message in said
    assert not (tmp_path / "out").exists()


def test_a_logger_that_is_not_installed(
    refused: Callable[..., str], short: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    whole = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "wandb" else whole(name, *a))
    message = refused("train", "language", "--out", tmp_path, *short, "--logger", "wandb")
    assert message == "error: this needs the package 'wandb': pip install 'formarium[loggers]'"


def test_a_damaged_checkpoint(refused: Callable[..., str], short: list[str], tmp_path: Path, run: Run) -> None:
    run("train", "language", "--out", tmp_path, *short)
    for name in (RESULT, "config.json"):
        (tmp_path / name).unlink()
    (tmp_path / CHECKPOINT).write_bytes(b"PK half of it")
    message = refused("train", "language", "--out", tmp_path, *short)
    assert message.startswith(f"error: the checkpoint at {tmp_path / CHECKPOINT} is damaged or of another version")


def test_settings_that_are_not_given_suit_the_task(run: Run, tmp_path: Path) -> None:
    task = "Links(data=Geometries(depth=3, cycles=4, grid=4))"
    done = run("train", task, "--out", tmp_path, "-s", "steps=60", "-s", "weight_decay=0")
    assert done.status == 0, done.err
    training = json.loads((tmp_path / RUN).read_text())["training"]
    assert (training["batch_size"], training["learning_rate"], training["weight_decay"]) == (256, 0.01, 0)
    # With sixteen triples a step, as other tasks have, it would have seen a pass or two.
    assert json.loads((tmp_path / RESULT).read_text())["metrics"]["mrr"] > 0.4
