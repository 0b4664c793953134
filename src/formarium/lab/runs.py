"""Training runs as the lab sees them: plain descriptions, done once each, in several processes, in any order.

A run is known by the digest of its description and of the source code that it goes through; what is finished is never
done again, and what was interrupted goes on from its checkpoint.
"""

import contextlib
import dataclasses
import hashlib
import math
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any, cast

import formarium
from formarium.config import config_from_dict, digest, look_up
from formarium.errors import Diverged, FormariumError
from formarium.files import cache_folder, read_object, write_json
from formarium.progress import progress, set_quiet
from formarium.tasks.task import Split

_CODE = ("config.py", "context.py", "block.py", "parts", "models", "training", "tasks", "theory")
_CHECKPOINTS = 10  # in a run


@dataclass(frozen=True)
class Run:
    """One training: configurations as ``to_dict`` gives them, a seed, and what to measure of the outcome."""

    model: Mapping[str, Any]
    task: Mapping[str, Any]
    training: Mapping[str, Any]
    seed: int
    metrics: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    split: Split = "validation"

    @property
    def key(self) -> str:
        return digest([dataclasses.asdict(self), code_fingerprint()])

    @property
    def steps(self) -> int:
        return int(self.training["steps"])


@dataclass(frozen=True)
class Outcome:
    """What a run left: its metrics and probes, the training loss of each step, and what it cost.

    selection: the task's headline on validation, by which rates are chosen. diverged: the step at which the loss was no
    number; metrics are then infinite.
    """

    metrics: dict[str, Any]
    losses: list[float]
    parameters: int
    units: int
    seconds: float
    rate: float
    flops: float
    memory: int
    diverged: int | None = None
    selection: float = math.nan


@cache
def code_fingerprint() -> str:
    """Changes when any source file changes that can change a trained number."""
    root = Path(formarium.__file__).parent
    files = sorted(
        f for name in _CODE for f in ([root / name] if name.endswith(".py") else (root / name).rglob("*.py"))
    )
    total = hashlib.sha256()
    for file in files:
        total.update(file.relative_to(root).as_posix().encode())
        total.update(file.read_bytes())
    return total.hexdigest()[:12]


def execute(run: Run, report: Callable[[int], None] | None = None) -> Outcome:
    """Does a run, or reads what it left when it was done; a diverged run is an outcome too."""
    from formarium.training.harness import fit
    from formarium.training.settings import Training

    folder = cache_folder("lab", run.key)
    if (folder / "outcome.json").exists():
        return Outcome(**read_object(folder / "outcome.json", "outcome of a run"))
    training = Training.from_dict(run.training)
    task = config_from_dict(run.task).build()
    began = time.perf_counter()
    losses: list[float] = []

    def on_step(step: int, loss: float) -> None:
        losses.append(loss)
        if report is not None:
            report(1)

    try:
        model, result = fit(
            config_from_dict(run.model),
            task,
            training,
            seed=run.seed,
            folder=folder,
            metrics=run.metrics if run.split == "validation" else (task.headline,),
            checkpoint_every=max(1, training.steps // _CHECKPOINTS),
            show=False,
            on_step=on_step,
        )
        metrics: dict[str, Any] = dict(result.metrics)
        selection = cast(float, metrics.get(task.headline, math.nan))
        if run.split != "validation":
            metrics = dict(task.evaluate(model, run.split, run.metrics))
        for probe in run.probes:
            metrics.update(look_up(probe)(model, task))
        outcome = Outcome(
            metrics=metrics,
            losses=result.losses,
            parameters=result.parameters,
            units=result.units,
            seconds=result.seconds,
            rate=result.rate,
            flops=result.flops,
            memory=result.memory,
            selection=selection,
        )
    except Diverged as error:
        worst = {m: math.inf if task.metrics[m.partition("@")[0]] == "lower" else -math.inf for m in run.metrics}
        selection = math.inf if task.metrics[task.headline] == "lower" else -math.inf
        seconds = time.perf_counter() - began
        outcome = Outcome(worst, losses, 0, 0, seconds, 0.0, 0.0, 0, diverged=error.step, selection=selection)
    write_json(folder / "outcome.json", dataclasses.asdict(outcome))
    return outcome


def finished(run: Run) -> bool:
    """Whether the run was done before, here."""
    return (cache_folder("lab", run.key) / "outcome.json").exists()


def execute_all(runs: Sequence[Run], processes: int, threads: int, description: str) -> list[Outcome]:
    """All runs, spread over worker processes of so many threads each; their outcomes in the order of the runs.

    Raises the first error of a run that is not a divergence; on Ctrl-C the workers finish their step and write their
    checkpoints first. Under ``torchrun`` all processes do each run together.
    """
    if distributed():
        return [execute(run) for run in runs]
    todo = list({run.key: run for run in runs if not finished(run)}.values())
    total = sum(run.steps for run in todo)
    if todo:
        with Workers(min(processes, len(todo)), threads) as workers, progress(description, total) as advance:
            workers.all([(execute, run) for run in todo], advance)
    return [execute(run) for run in runs]


def distributed() -> bool:
    """Whether ``torchrun`` started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


class Workers:
    """Worker processes that run functions of one argument and a progress callback."""

    def __init__(self, processes: int, threads: int, fresh: bool = False) -> None:
        context = _context()
        self._manager = SyncManager(ctx=context)
        self._manager.start(_end_with_parent)
        self._reports: Any = self._manager.Queue()
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=context,
            initializer=_enter_worker,
            initargs=(threads, self._reports),
            max_tasks_per_child=1 if fresh else None,
        )

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._manager.shutdown()

    def all(self, calls: Sequence[tuple[Callable[..., Any], Any]], advance: Callable[..., None]) -> list[Any]:
        """The results of all calls, in their order."""
        futures: list[Future[Any]] = [self._pool.submit(_in_worker, call, argument) for call, argument in calls]
        left = set(futures)
        try:
            while left:
                done, left = wait(left, timeout=0.3, return_when=FIRST_COMPLETED)
                for amount in self._drain():
                    advance(amount)
                for future in done:
                    future.result()
        except KeyboardInterrupt:
            self._interrupt()
            raise
        except BrokenProcessPool:
            raise FormariumError(
                "a worker process was killed, most likely for lack of memory; what is finished is kept, and the same "
                "command goes on from there (with fewer --processes it needs less)"
            ) from None
        return [future.result() for future in futures]

    def _drain(self) -> Iterator[int]:
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._reports.get_nowait()

    def _interrupt(self) -> None:
        for process in list((self._pool._processes or {}).values()):
            if process.pid is not None and process.is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)


def _context() -> Any:
    """Workers are copied from a server that has only imported what they need, which takes them a moment to start."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["formarium.training.harness"])
    return context


_reports: Any = None


def _enter_worker(threads: int, reports: Any) -> None:
    global _reports
    _reports = reports
    _end_with_parent()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(threads)
    set_quiet(True)


def _end_with_parent() -> None:
    """Ends this process when the one that started it is killed, instead of waiting for it for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _in_worker(call: Callable[..., Any], argument: Any) -> Any:
    return call(argument, _reports.put)


def default_processes(threads: int) -> int:
    """How many workers of so many threads this machine takes; one where a GPU does the work."""
    import torch

    return 1 if torch.cuda.is_available() else max(1, len(os.sched_getaffinity(0)) // threads)
