"""What each process of test_distributed.py does under torchrun: the same run by several strategies, interrupted."""

import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from formarium.config import parse
from formarium.tasks import Language
from formarium.training import Machine, Training, fit
from formarium.training.harness import Interrupted


class Stop(Exception):
    """Stands for whatever ends all processes in the middle."""


def killed(now: int, loss: float) -> None:
    if now == 5:
        raise Stop


def pressed_on_one(now: int, loss: float) -> None:
    if now == 5 and os.environ["RANK"] == "1":
        signal.raise_signal(signal.SIGINT)


INTERRUPTIONS: dict[str, Callable[[int, float], None]] = {"killed": killed, "pressed": pressed_on_one}


def main() -> None:
    torch.set_num_threads(1)
    asked = json.loads(sys.argv[1])
    task: Language = parse(asked["task"]).build()
    for name, run in asked["runs"].items():
        folder = Path(asked["folder"]) / name

        def once(on_step: Callable[[int, float], None] | None = None, run: dict = run, folder: Path = folder) -> None:
            _, result = fit(
                parse(asked["model"]),
                task,
                Training.from_dict(run["training"]),
                folder=folder,
                machine=Machine(strategy=run["strategy"]),
                checkpoint_every=2,
                show=True,
                on_step=on_step,
            )
            if os.environ["RANK"] == "0":
                (folder / "found.json").write_text(json.dumps(dataclasses.asdict(result)))

        if run["interruption"] is not None:
            with contextlib.suppress(Stop, Interrupted):
                once(INTERRUPTIONS[run["interruption"]])
            assert (folder / "checkpoint.ckpt").exists()
        once()


if __name__ == "__main__":
    main()
