"""The one training loop: any model, any task, on Lightning; interrupted, it goes on to the same numbers.

A run lives in a folder: ``run.json`` says what it is, ``checkpoint.ckpt`` how far it got, ``history.csv`` and
``result.json`` what came out, beside the model itself (config.json, model.safetensors, a tokenizer where there is one).
"""

import csv
import io
import logging
import math
import os
import pickle
import resource
import signal
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.flop_counter import FlopCounterMode

import formarium
from formarium.block import Block
from formarium.config import BaseConfig, ConfigError
from formarium.errors import CheckpointError, Diverged, FormariumError
from formarium.files import read_object, write_json, write_text
from formarium.models.compiling import compiled as compile_model
from formarium.models.model import CONFIG, Model
from formarium.progress import Advance, hidden, notice, progress
from formarium.tasks.task import Metric, Task
from formarium.training.optimisers import make_optimiser
from formarium.training.settings import Machine, Training
from formarium.training.shards import spread, whole

CHECKPOINT = "checkpoint.ckpt"
RUN = "run.json"
RESULT = "result.json"
HISTORY = "history.csv"
DATA = "data"  # a digest of what a run learns from
WHERE = "folder"  # from which a run was started, and from which relative paths in it are read


@dataclass(frozen=True)
class Result:
    """What a run came to.

    metrics: of the model that is kept, on the validation split. losses: the training loss of each step. kept: the step
    behind which its weights were taken. seconds: spent in training steps. rate: units (tokens, examples) a second, by
    the median step. flops: of one unit, forward and backward, counted. memory: peak resident bytes of the process (of
    the device, on a GPU).
    """

    metrics: dict[str, Metric]
    losses: list[float]
    steps: int
    units: int
    unit: str
    seconds: float
    rate: float
    flops: float
    memory: int
    parameters: int
    kept: int = 0


class Interrupted(FormariumError):
    """Training was stopped by the user behind a whole step, and its checkpoint written."""


def fit(
    model: BaseConfig,
    task: Task,
    training: Training,
    *,
    seed: int = 0,
    folder: Path | None = None,
    machine: Machine | None = None,
    metrics: Sequence[str] | None = (),
    checkpoint_every: int | None = None,
    loggers: Sequence[Any] = (),
    show: bool = True,
    on_step: Callable[[int, float], None] | None = None,
) -> tuple[Model, Result]:
    """Trains the configured model on a task; with a folder, continues what is there and keeps the outcome there.

    model: adapted to the task. metrics: what is measured at the end (and each ``evaluate_every`` steps): the task's
    headline where empty, nothing where None. checkpoint_every: steps between checkpoints. show: a progress bar.
    on_step: called with the step and its loss. Raises Diverged on a loss that is not a number, Interrupted after Ctrl-C
    or SIGTERM (a second Ctrl-C stops at once), ConfigError for a seed below 0 or beyond 32 bits, CheckpointError where
    the folder holds another run.
    """
    training.check()
    if not 0 <= seed < 1 << 32:
        raise ConfigError(f"a seed is a whole number from 0 to {(1 << 32) - 1}, not {seed}")
    task.check(metrics or ())
    machine = machine or Machine()
    machine.check()
    spec = {
        "formarium": formarium.__version__,
        "model": model.to_dict(),
        "task": cast(Any, task).config.to_dict(),
        "training": training.to_dict(),
        "seed": seed,
    }
    if folder is not None and (identity := task.identity()) is not None:
        spec[DATA] = identity
    done = _open(folder, spec)
    if done is not None:
        assert folder is not None
        return Model.from_pretrained(folder), done
    task.prepare()
    if training.epochs is not None:
        together = training.batch_size * training.accumulation * _world(machine)
        training = training.in_steps(task.batches_per_epoch(together))
    torch.manual_seed(seed)
    module = _Module(cast(Model, model.build()), task, training, seed)
    callback = _Steps(folder, spec, metrics, checkpoint_every, on_step)
    checkpoint = folder / CHECKPOINT if folder is not None and (folder / CHECKPOINT).exists() else None
    with _quiet_lightning(), _interruptible(callback), hidden(not show):
        try:
            trainer = L.Trainer(
                accelerator=machine.accelerator,
                devices=_devices(machine),
                num_nodes=machine.nodes,
                strategy=_strategy(machine),
                precision=training.precision,
                max_steps=training.steps,
                max_epochs=-1,
                accumulate_grad_batches=training.accumulation,
                callbacks=[callback],
                plugins=[_PlainFile()],
                logger=list(loggers) or False,
                log_every_n_steps=10,
                limit_val_batches=0,
                num_sanity_val_steps=0,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
        except MisconfigurationException as error:
            raise ConfigError(f"this machine cannot train on {machine.accelerator}: {_first_line(error)}") from error
        try:
            trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        except SIGTERMException:
            if not callback.stop:  # it came between two steps, with nothing new to keep
                raise KeyboardInterrupt from None
        except SystemExit as error:
            # What Lightning makes of a Ctrl-C that nothing catches.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
        except FormariumError:
            raise
        except (RuntimeError, LookupError, OSError, EOFError, ValueError, TypeError, pickle.UnpicklingError) as error:
            if checkpoint is not None and not callback.began:
                raise CheckpointError(
                    f"the checkpoint at {checkpoint} is damaged or of another version ({_first_line(error)}); "
                    "delete it to begin again"
                ) from error
            raise
        if callback.stop:
            where = f" and kept at {folder}; the same command goes on from there" if folder else ""
            raise Interrupted(f"stopped after step {trainer.global_step} of {training.steps}{where}")
        result = callback.result(trainer, module)
        trained = module.kept()
        if folder is not None:
            _keep(folder, trainer, trained, task, result)
    return trained, result


def _open(folder: Path | None, spec: dict[str, Any]) -> Result | None:
    """The result of the run where the folder holds it; refuses a folder that holds anything else worth keeping."""
    if folder is None:
        return None
    if not (folder / RUN).exists():
        if (folder / CONFIG).exists():
            raise CheckpointError(f"{folder} holds a model that no training here left; choose another folder")
        return None
    kept = read_object(folder / RUN, "description of a run")
    asked, had = ({k: v for k, v in one.items() if k not in (WHERE, DATA)} for one in (spec, kept))
    difference = _difference(asked, had)
    if not difference and kept.get(DATA) != spec.get(DATA):
        difference = "it learned from other data under the same name"
    if difference:
        if (folder / CHECKPOINT).exists() or (folder / RESULT).exists():
            raise CheckpointError(f"{folder} holds another run: {difference}; choose another folder, or delete it")
    elif (folder / RESULT).exists():
        try:
            return Result(**read_object(folder / RESULT, "result of a run"))
        except TypeError:
            raise CheckpointError(f"{folder / RESULT} is not the whole result of a run; delete {folder}") from None
    return None


_ABSENT = object()


def _difference(asked: Any, kept: Any, name: str = "") -> str:
    """The first thing in which what is asked differs from what was kept, in words; nothing where they are equal."""
    if not (isinstance(asked, dict) and isinstance(kept, dict)):
        return "" if asked == kept else f"its {name} is {_briefly(kept)}, not {_briefly(asked)}"
    for key in {**asked, **kept}:
        if found := _difference(asked.get(key, _ABSENT), kept.get(key, _ABSENT), f"{name}.{key}" if name else key):
            return found
    return ""


def _briefly(value: Any) -> str:
    if value is _ABSENT:
        return "not there"
    return str(value["type"]) if isinstance(value, dict) and "type" in value else repr(value)


def _keep(folder: Path, trainer: L.Trainer, model: Model, task: Task, result: Result) -> None:
    if trainer.is_global_zero:
        model.save_pretrained(folder)
        task.save(folder)
        lines = io.StringIO()
        csv.writer(lines).writerows([("step", "loss"), *enumerate(result.losses, 1)])
        write_text(folder / HISTORY, lines.getvalue())
        write_json(folder / RESULT, asdict(result))
        (folder / CHECKPOINT).unlink(missing_ok=True)
    trainer.strategy.barrier()


class _PlainFile(TorchCheckpointIO):
    """Writes a checkpoint where it belongs, without a copy in memory or in the folder for temporary files."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with open(path, "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # what torch raises over a failed write
                raise error.__context__ if isinstance(error.__context__, OSError) else error from None


class _Stream(IterableDataset):
    """The task's batches from a given one on; each process opens its own share."""

    def __init__(self, module: "_Module") -> None:
        self.module = module

    def __iter__(self) -> Iterator[Any]:
        trainer = self.module.trainer
        return self.module.task.batches(
            self.module.training_settings.batch_size,
            self.module.seed,
            start=self.module.batches_seen,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )


class _Module(L.LightningModule):
    """A model and its objective as Lightning wants them, with what a checkpoint must hold beside the weights."""

    def __init__(self, model: Model, task: Task, training: Training, seed: int) -> None:
        super().__init__()
        self.model, self.task, self.training_settings, self.seed = model, task, training, seed
        self.batches_seen, self.units_seen = 0, 0
        self.losses: list[float] = []
        self.best: tuple[float, dict[str, Tensor], int] | None = None
        self.waited = 0
        self._step = task.loss
        if training.compile:
            compiled = compile_model(model)
            self._step = lambda model, batch: task.loss(compiled, batch)

    def configure_model(self) -> None:
        if isinstance(self.trainer.strategy, ModelParallelStrategy) and not hasattr(self.model, "unshard"):
            from torch.distributed.fsdp import fully_shard

            mesh = self.device_mesh["data_parallel"]  # type: ignore[index]
            for module in self.model.modules():
                if isinstance(module, Block):
                    fully_shard(module, mesh=mesh)
            fully_shard(self.model, mesh=mesh)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(_Stream(self), batch_size=None)

    def configure_optimizers(self) -> Any:
        optimiser = make_optimiser(self.model, self.training_settings)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self.training_settings.factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def training_step(self, batch: Any, index: int) -> Tensor:
        loss = self._step(self.model, batch)
        self.units_seen += self.task.units(batch)
        self.batches_seen += 1
        return loss

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        if self.training_settings.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.training_settings.clip)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["formarium"] = {
            "batches_seen": self.batches_seen,
            "units_seen": self.units_seen,
            "losses": torch.tensor(self.losses, dtype=torch.float64),
            "best": self.best,
            "waited": self.waited,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        kept = checkpoint["formarium"]
        self.batches_seen, self.units_seen = kept["batches_seen"], kept["units_seen"]
        self.losses, self.best, self.waited = kept["losses"].tolist(), kept["best"], kept["waited"]
        self._random = (kept["random"], kept["random_cuda"])

    def on_train_start(self) -> None:
        if hasattr(self, "_random"):
            torch.set_rng_state(self._random[0].cpu())
            if self._random[1] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all([state.cpu() for state in self._random[1]])

    def weights(self) -> dict[str, Tensor]:
        """A copy of all weights, whole on each process."""
        return {name: whole(tensor).detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    @torch.no_grad()
    def take(self, weights: dict[str, Tensor]) -> None:
        """Puts back what ``weights`` returned."""
        for name, tensor in self.model.state_dict().items():
            tensor.copy_(spread(weights[name], tensor))

    def kept(self) -> Model:
        """The trained model, whole on each process."""
        if not isinstance(self.trainer.strategy, ModelParallelStrategy):
            return self.model.eval()
        model = cast(Model, self.model.config.build())
        model.load_state_dict(self.weights())
        return model.eval()


class _Steps(Callback):
    """What happens around the steps: progress, evaluation, checkpoints, stopping."""

    def __init__(
        self,
        folder: Path | None,
        spec: dict[str, Any],
        metrics: Sequence[str] | None,
        checkpoint_every: int | None,
        on_step: Callable[[int, float], None] | None,
    ) -> None:
        self.folder, self.spec, self.metrics, self.checkpoint_every = folder, spec, metrics, checkpoint_every
        self.on_step = on_step
        self.stop = self.began = False
        self.durations: list[float] = []
        self._sum, self._count = 0.0, 0
        self._shown = ExitStack()
        self._advance: Advance = lambda *_, **__: None
        self.measured: dict[str, Metric] | None = None
        self.flops = 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        own = cast(_Module, module)
        if self.folder is not None and trainer.is_global_zero:
            write_json(self.folder / RUN, {**self.spec, WHERE: os.getcwd()})
        self.began = True
        if trainer.is_global_zero:
            bar = progress("training", own.training_settings.steps, trainer.global_step)
            self._advance = self._shown.enter_context(bar)
        self._clock = time.perf_counter()
        self._lose_patience(trainer, own)  # that of the run which left the checkpoint

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, index: int) -> None:
        own = cast(_Module, module)
        if not self.flops and trainer.world_size == 1 and not own.training_settings.compile:
            self.flops = _count_flops(own, batch)
            self._clock = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        own = cast(_Module, module)
        settings = own.training_settings
        shared = trainer.world_size > 1
        loss = float(trainer.strategy.reduce(outputs["loss"]) if shared else outputs["loss"]) * settings.accumulation
        self._sum, self._count = self._sum + loss, self._count + 1
        if self._count < settings.accumulation:
            return
        loss = self._sum / self._count
        self._sum, self._count = 0.0, 0
        own.losses.append(loss)
        now = time.perf_counter()
        self.durations.append(now - self._clock)
        step = trainer.global_step
        if not math.isfinite(loss):
            rate = settings.learning_rate
            raise Diverged(f"training diverged: the loss of step {step} is {loss} (peak learning rate {rate:g})", step)
        units = own.task.units(batch) * settings.accumulation * trainer.world_size
        speed = units / statistics.median(self.durations[-20:])
        self._advance(1, note=f"loss {loss:.4f}, {speed:,.0f} {own.task.unit}/s")
        for logger in trainer.loggers:
            logger.log_metrics({"loss": loss, f"{own.task.unit}_per_second": speed}, step)
        if self.on_step is not None:
            self.on_step(step, loss)
        if settings.evaluate_every and step % settings.evaluate_every == 0:
            self._evaluate(trainer, own)
        self.stop = self.stop or trainer.received_sigterm  # a machine that is taken back keeps what was done, too
        if shared:
            self.stop = trainer.strategy.reduce_boolean_decision(self.stop, all=False)
        if self.stop:
            trainer.should_stop = True
        due = self.checkpoint_every is not None and step % self.checkpoint_every == 0 and step < settings.steps
        if self.folder is not None and (due or self.stop):
            self._save(trainer, self.folder / CHECKPOINT)
        self._clock = time.perf_counter()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._shown.close()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self._shown.close()

    def _evaluate(self, trainer: L.Trainer, own: _Module) -> None:
        measured = own.task.evaluate(own.model, metrics=self.metrics or ())
        for logger in trainer.loggers:
            scalars = {f"validation_{k}": v for k, v in measured.items() if isinstance(v, float)}
            logger.log_metrics(scalars, trainer.global_step)
        headline = own.task.headline
        if headline not in measured:
            measured |= own.task.evaluate(own.model, metrics=[headline])
        value = cast(float, measured[headline])
        sign = 1 if own.task.metrics[headline] == "lower" else -1
        if own.best is None or sign * value < sign * own.best[0]:
            keep = own.training_settings.keep == "best"
            own.best, own.waited = (value, own.weights() if keep else {}, trainer.global_step), 0
        else:
            own.waited += 1
            self._lose_patience(trainer, own)

    @staticmethod
    def _lose_patience(trainer: L.Trainer, own: _Module) -> None:
        patience = own.training_settings.patience
        if patience is not None and own.waited >= patience:
            trainer.should_stop = True

    def _save(self, trainer: L.Trainer, path: Path) -> None:
        """Writes a checkpoint under another name on every process, then gives it its own name on the first."""
        temporary = path.with_name(f".{path.name}.part")
        try:
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                os.replace(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise FormariumError(
                f"cannot write the checkpoint {path}: {error.strerror or error}; the one before it is still there, and "
                "the same command goes on from it"
            ) from error

    def result(self, trainer: L.Trainer, own: _Module) -> Result:
        """The outcome, with the kept weights measured."""
        model = own.model
        kept = trainer.global_step
        if own.best is not None and own.training_settings.keep == "best":
            own.take(own.best[1])
            kept = own.best[2]
        per_step = own.units_seen / max(1, own.batches_seen) * own.training_settings.accumulation * trainer.world_size
        steady = self.durations[5:] or self.durations or [math.inf]
        on_gpu = next(model.parameters()).is_cuda
        peak = torch.cuda.max_memory_allocated() if on_gpu else _peak_memory()
        return Result(
            metrics={} if self.metrics is None else own.task.evaluate(model, metrics=self.metrics),
            losses=own.losses,
            steps=trainer.global_step,
            units=own.units_seen * trainer.world_size,
            unit=own.task.unit,
            seconds=sum(self.durations),
            rate=per_step / statistics.median(steady),
            flops=self.flops,
            memory=peak,
            parameters=model.num_parameters(),
            kept=kept,
        )


def _count_flops(own: _Module, batch: Any) -> float:
    """Floating-point operations of one unit, forward and backward, by counting those of one loss."""
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(display=False, custom_mapping={attention: _attention_flops})
    devices = [own.device] if own.device.type == "cuda" else []
    with torch.random.fork_rng(devices), counter, torch.no_grad():
        own.task.loss(own.model, batch)
    return 3.0 * counter.get_total_flops() / max(1, own.task.units(batch))


def _attention_flops(queries: Any, keys: Any, values: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Operations of attention's two matrix products, from the shapes (B, H, T, K), (B, G, S, K)."""
    batch, heads, length, width = queries
    return 4 * int(batch * heads * length * keys[2] * width)


def _peak_memory() -> int:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _devices(machine: Machine) -> int | str:
    under_torchrun = os.environ.get("LOCAL_WORLD_SIZE")
    if machine.devices == "auto":
        return int(under_torchrun) if under_torchrun else ("auto" if torch.cuda.is_available() else 1)
    return machine.devices


def _world(machine: Machine) -> int:
    """How many processes train together, each on examples of its own."""
    started = os.environ.get("WORLD_SIZE")
    if started is not None:
        return int(started)
    devices = _devices(machine)
    count = (max(1, torch.cuda.device_count()) if machine.accelerator != "cpu" else 1) if devices == "auto" else devices
    return int(count) * machine.nodes


def _strategy(machine: Machine) -> str | Strategy:
    if machine.strategy == "fsdp":
        world = int(os.environ.get("WORLD_SIZE", "1"))
        return ModelParallelStrategy(
            data_parallel_size=world, tensor_parallel_size=1, save_distributed_checkpoint=False
        )
    return machine.strategy


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Silences what Lightning says about things that are meant to be as they are."""
    names = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", message=r".*torch\.jit.*")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _interruptible(callback: _Steps) -> Iterator[None]:
    """The first Ctrl-C lets the step finish and its checkpoint be written; the second stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        if callback.stop or not callback.began:
            signal.signal(signal.SIGINT, before)
            raise KeyboardInterrupt
        callback.stop = True
        notice("stopping behind this step; Ctrl-C again stops at once")

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
