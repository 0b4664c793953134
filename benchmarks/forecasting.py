"""An epoch of iTransformer on ETTh1, 96 steps in and 96 out, with the sizes published for it, against its peers.

Optimiser steps of 32 windows, each with the making of its batch: ours, a plain PyTorch version with a data loader, and
the network of neuralforecast where that is installed, on our batches; it has no calendar, so ours runs without one too.

python benchmarks/forecasting.py --write docs/benchmarks/forecasting.md
"""

import argparse
import importlib.util
import itertools
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from reference_itransformer import PlainInverted, plain_batches
from report import Table, ratio, write
from torch import Tensor, nn

from formarium.lab.timing import interleaved
from formarium.models import InvertedForecaster
from formarium.models.compiling import compiled as compile_model
from formarium.tasks import Forecasting
from formarium.training.optimisers import make_optimiser
from formarium.training.settings import Training

BATCH, STEPS = 32, 8  # steps that are timed at once
SIZES = InvertedForecaster.Config()  # those published for ETTh1
OURS, PLAIN, BARE = "formarium", "plain PyTorch", "formarium, no calendar"
NIXTLA = "neuralforecast, no calendar"


def training(model: nn.Module, losses: Iterator[Tensor]) -> Callable[[], None]:
    """Some optimiser steps. losses: the loss of one batch after another."""
    if isinstance(model, InvertedForecaster):
        optimiser = make_optimiser(model, Training(optimizer="adam", learning_rate=1e-4, beta2=0.999))
    else:
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)

    def run() -> None:
        for loss in itertools.islice(losses, STEPS):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return run


def ours(task: Forecasting, compiled: bool = False) -> tuple[nn.Module, Callable[[], None]]:
    model = task.adapt(SIZES).build()
    runs = compile_model(model) if compiled else model
    return model, training(model, (task.loss(runs, batch) for batch in task.batches(BATCH, seed=0)))


def plain(task: Forecasting) -> tuple[nn.Module, Callable[[], None]]:
    model = PlainInverted()
    return model, training(model, (F.mse_loss(model(x, marks), y) for x, y, marks in plain_batches(task, BATCH)))


def nixtla(task: Forecasting) -> tuple[nn.Module, Callable[[], None]]:
    from neuralforecast.models import iTransformer

    model = iTransformer(
        h=96, input_size=96, n_series=7, hidden_size=SIZES.width, n_heads=SIZES.heads, e_layers=SIZES.depth, d_ff=256
    )
    answers = ((model({"insample_y": b["history"]}), b["target"]) for b in task.batches(BATCH, seed=0))
    return model, training(model, (F.mse_loss(y, target) for y, target in answers))


def epochs(repeats: int) -> Table:
    task, bare = Forecasting(), Forecasting(Forecasting.Config(marks=False))
    made = {
        OURS: ours(task),
        f"{OURS}, compiled": ours(task, compiled=True),
        PLAIN: plain(task),
        BARE: ours(bare),
    }
    if importlib.util.find_spec("neuralforecast") is not None:
        made[NIXTLA] = nixtla(bare)
    seconds = interleaved({name: call for name, (_, call) in made.items()}, repeats, warm=2)
    steps = task.batches_per_epoch(BATCH)
    table = Table(
        f"Training epoch on ETTh1, 96 in and 96 out: {steps} steps of {BATCH} windows, width {SIZES.width}, float32",
        ("", "parameters", "epoch, median", "epoch, best", "formarium is faster by"),
    )
    for name, own in seconds.items():
        base = seconds[BARE if "no calendar" in name else OURS]
        size = sum(p.numel() for p in made[name][0].parameters())
        middle, best = (steps * found / STEPS for found in (statistics.median(own), min(own)))
        table.row(name, f"{size:,}", f"{middle:.2f} s", f"{best:.2f} s", f"{ratio(base, own):.2f}x")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="a Markdown file for the tables")
    parser.add_argument("--repeats", type=int, default=33)
    options = parser.parse_args()
    torch.manual_seed(0)
    tables = [epochs(options.repeats)]
    write("Forecasters against their peers", tables, options.write)


if __name__ == "__main__":
    main()
