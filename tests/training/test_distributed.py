"""Two processes under torchrun do what one does with twice the batch, whole copies or shards, interrupted or not."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from formarium.models import Decoder, load
from formarium.tasks import Language
from formarium.training import Training, fit

Config = Callable[..., Decoder.Config]
BASE = Training(steps=8, batch_size=2, accumulation=2, warmup=0.25)
BEST = BASE.replace(evaluate_every=2, keep="best", learning_rate=0.06, schedule="constant")
FLAT = {"init_std": 0.02}  # a start from which eight steps at that rate overshoot
RUNS: dict[str, dict[str, Any]] = {
    "ddp": {"strategy": "ddp", "training": BASE, "interruption": "killed"},
    "ddp-muon": {"strategy": "ddp", "training": BASE.replace(optimizer="muon"), "interruption": "pressed"},
    "fsdp": {"strategy": "fsdp", "training": BASE, "interruption": "killed"},
    "fsdp-best": {"strategy": "fsdp", "training": BEST, "interruption": "pressed"},
    "fsdp-muon": {"strategy": "fsdp", "training": BASE.replace(optimizer="muon"), "interruption": None},
}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def folder(small: Config, task: Language, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes left all runs."""
    path = tmp_path_factory.mktemp("two")
    runs = {name: {**run, "training": run["training"].to_dict()} for name, run in RUNS.items()}
    asked = {"folder": str(path), "model": small(**FLAT).describe(), "task": task.config.describe(), "runs": runs}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={_free_port()}"]
    script = str(Path(__file__).with_name("two_processes.py"))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, script, json.dumps(asked)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return path


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_are_one_with_twice_the_batch(small: Config, task: Language, folder: Path, name: str) -> None:
    training = RUNS[name]["training"]
    one, expected = fit(small(**FLAT), task, training.replace(batch_size=2 * training.batch_size), show=False)
    found = json.loads((folder / name / "found.json").read_text())
    assert found["losses"] == pytest.approx(expected.losses, rel=1e-4)
    assert found["metrics"] == pytest.approx(expected.metrics, rel=1e-4)
    assert (found["steps"], found["units"], found["parameters"]) == (8, expected.units, expected.parameters)
    two = load(folder / name)
    for (key, ours), theirs in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        torch.testing.assert_close(theirs, ours, atol=2e-4, rtol=1e-3, msg=lambda text, key=key: f"{key}: {text}")
    assert not (folder / name / "checkpoint.ckpt").exists()


def test_the_best_weights_were_not_the_last(small: Config, task: Language) -> None:
    """Else the comparison above says nothing about keeping the best."""
    training = BEST.replace(batch_size=2 * BEST.batch_size)
    best, last = (
        fit(small(**FLAT), task, training.override({"keep": kept}), show=False)[1].metrics for kept in ("best", "last")
    )
    assert best["loss"] < last["loss"]  # type: ignore[operator]
