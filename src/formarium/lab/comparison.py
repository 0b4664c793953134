"""Putting variants side by side: equal parameters, equal tokens, a learning rate chosen for each, paired seeds."""

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from formarium.config import BaseConfig, ConfigError, config_from_dict, digest, parse, suggestion
from formarium.errors import DataError, FormariumError
from formarium.files import cache_folder, read_object, write_json
from formarium.lab.claim import Comparison, Setting, Variant
from formarium.lab.matching import count_parameters, match_parameters
from formarium.lab.runs import Outcome, Run, Workers, code_fingerprint, distributed, execute_all
from formarium.progress import notice, progress
from formarium.training.settings import Training

_SAFETY = 0.85  # share of the minutes that is planned; the rest is for evaluation, start and noise
_FEWEST = 20
_TIMED, _WARM = 8, 2


@dataclass(frozen=True)
class Arm:
    """A variant made ready: its adapted and matched model, its task and its training, still without a rate.

    epoch: how many steps are one, where its training counts epochs.
    """

    variant: Variant
    model: BaseConfig
    task: BaseConfig
    training: Training
    parameters: int
    epoch: int | None = None

    @property
    def in_steps(self) -> Training:
        """The training, counted in steps."""
        return self.training if self.epoch is None else self.training.in_steps(self.epoch)

    @property
    def steps(self) -> int | None:
        """How many its training takes, where that says so."""
        return None if self.epoch is None else self.in_steps.steps


@dataclass(frozen=True)
class Cost:
    """What an arm costs on this machine, measured alone: seconds a step, units a second, bytes at the peak."""

    step_seconds: float
    rate: float
    memory: int
    flops: float


@dataclass(frozen=True)
class Budget:
    """How long each run is, and why; of one whose training counts epochs, how long at most."""

    steps: int
    minutes: float | None
    processes: int
    threads: int


@dataclass
class ArmResult:
    """What an arm came to: the rates it tried on the first seed, the one it kept, and an outcome for each seed."""

    arm: Arm
    cost: Cost
    learning_rate: float
    tried: dict[float, float]
    outcomes: list[Outcome]


@dataclass
class ComparisonResult:
    """All arms of a comparison at one scale."""

    arms: dict[str, ArmResult]
    budget: Budget
    seeds: int
    seconds: float
    headline: str
    unit: str


def arms_of(comparison: Comparison, setting: Setting) -> list[Arm]:
    """The arms of a scale, adapted to the task and matched in size; ConfigError for an impossible one.

    Where the setting is partial those without data are left out; DataError if none is left.
    """
    chosen = [v for v in comparison.variants if not setting.variants or v.name in setting.variants]
    unknown = [n for n in setting.variants if n not in {v.name for v in comparison.variants}]
    if unknown:
        names = [v.name for v in comparison.variants]
        raise ConfigError(f"there is no variant {unknown[0]!r}{suggestion(unknown[0], names)}")
    arms: list[Arm] = []
    for variant in chosen:
        task_config = parse(comparison.task).override({**setting.task, **variant.task})
        task = task_config.build()
        if setting.partial:
            try:
                task.prepare()
            except DataError as error:
                notice(f"{variant.name} is left out: {error}")
                continue
        base = parse(variant.model or comparison.model)
        of_scale = {n: v for n, v in setting.model.items() if not variant.model or hasattr(base, n.partition(".")[0])}
        model = task.fitted(base.override({**of_scale, **variant.changes}))
        if comparison.matched and arms and variant.matched:
            model = match_parameters(model, arms[0].parameters, comparison.adjusts)
        training = parse(comparison.training).override({**setting.training, **variant.training})
        if not isinstance(training, Training):
            raise ConfigError(f"{comparison.training!r} does not describe a training")
        counted = training.epochs is not None
        epoch = task.batches_per_epoch(training.batch_size * training.accumulation) if counted else None
        arms.append(Arm(variant, model, task_config, training, count_parameters(model), epoch))
    if not arms:
        raise DataError(f"the data of none of these is on this machine: {', '.join(v.name for v in chosen)}")
    return arms


def compare(
    comparison: Comparison,
    setting: Setting,
    metrics: Sequence[str] = (),
    *,
    processes: int,
    threads: int,
    steps: int | None = None,
) -> ComparisonResult:
    """Runs a comparison at one scale.

    metrics: measured beside the headline (those that the task knows; others are of the probes). steps: overrides the
    budget (to repeat a record's). What was finished before, here and with the same code, is read instead of done again.
    """
    began = time.perf_counter()
    arms = arms_of(comparison, setting)
    task = arms[0].task.build()
    task.prepare()
    measured = [metric for metric in metrics if metric.partition("@")[0] in task.metrics]
    task.check(measured)
    wanted = tuple(dict.fromkeys([task.headline, *measured]))
    costs, budget = _plan(arms, setting, processes, threads, steps)
    results = {}
    rates = _choose_rates(comparison, setting, arms, wanted, budget, task)
    runs = [
        _run(arm, rates[arm.variant.name][0], seed, wanted, budget, comparison)
        for arm in arms
        for seed in range(setting.seeds)
    ]
    outcomes = iter(execute_all(runs, processes, threads, "training all seeds"))
    for arm, cost in zip(arms, costs, strict=True):
        rate, tried = rates[arm.variant.name]
        own = [next(outcomes) for _ in range(setting.seeds)]
        results[arm.variant.name] = ArmResult(arm, cost, rate, tried, own)
    return ComparisonResult(
        arms=results,
        budget=budget,
        seeds=setting.seeds,
        seconds=time.perf_counter() - began,
        headline=task.headline,
        unit=task.unit,
    )


def _plan(
    arms: list[Arm], setting: Setting, processes: int, threads: int, steps: int | None
) -> tuple[list[Cost], Budget]:
    """What each arm costs here and how long its runs are: measured once, so that a proof goes on as it began."""
    described = [(arm.model.to_dict(), arm.task.to_dict(), arm.in_steps.to_dict()) for arm in arms]
    asked = [setting.minutes, setting.steps, setting.seeds, list(setting.learning_rates), processes, threads, steps]
    file = cache_folder("lab", "plans", f"{digest([described, asked, code_fingerprint()])}.json")
    if file.exists():
        kept = read_object(file, "plan of a comparison")
        return [Cost(**cost) for cost in kept["costs"]], Budget(**kept["budget"])
    costs = _costs(arms, threads)
    budget = _budget(setting, costs, processes, threads, steps, [arm.steps for arm in arms])
    write_json(file, {"costs": [asdict(cost) for cost in costs], "budget": asdict(budget)})
    return costs, budget


def _run(arm: Arm, rate: float, seed: int, metrics: tuple[str, ...], budget: Budget, comparison: Comparison) -> Run:
    base = arm.in_steps
    factor = rate / base.learning_rate
    steps = budget.steps if arm.steps is None else min(arm.steps, budget.steps)
    training = base.replace(steps=steps, learning_rate=rate, matrix_rate=base.matrix_rate * factor)
    described = arm.model.to_dict(), arm.task.to_dict(), training.to_dict()
    return Run(*described, seed, metrics, comparison.probes, comparison.split)


def _choose_rates(
    comparison: Comparison, setting: Setting, arms: list[Arm], metrics: tuple[str, ...], budget: Budget, task: Any
) -> dict[str, tuple[float, dict[float, float]]]:
    """For each arm the best rate of the grid on the first seed; a best one at the edge is tried one step further."""
    grid = sorted(setting.learning_rates)
    base = {arm.variant.name: arm.training.learning_rate for arm in arms}
    if len(grid) == 1:
        return {name: (rate * grid[0], {}) for name, rate in base.items()}
    sign = 1 if task.metrics[task.headline] == "lower" else -1
    tried: dict[str, dict[float, float]] = {arm.variant.name: {} for arm in arms}
    step = grid[-1] / grid[-2]
    todo = {name: list(grid) for name in tried}
    for round_number in range(2):
        pairs = [(arm, factor) for arm in arms for factor in todo[arm.variant.name]]
        runs = [_run(arm, base[arm.variant.name] * factor, 0, metrics, budget, comparison) for arm, factor in pairs]
        outcomes = execute_all(runs, budget.processes, budget.threads, "choosing learning rates")
        for (arm, factor), outcome in zip(pairs, outcomes, strict=True):
            value = float(outcome.selection)
            tried[arm.variant.name][factor] = sign * value if math.isfinite(value) else math.inf
        best = {name: min(values, key=lambda f, v=values: v[f]) for name, values in tried.items()}  # type: ignore[misc]
        if round_number == 0:
            beyond = {grid[0]: grid[0] / step, grid[-1]: grid[-1] * step}
            todo = {name: [beyond[f]] if f in beyond else [] for name, f in best.items()}
    return {
        name: (base[name] * best[name], {base[name] * f: sign * v for f, v in sorted(values.items())})
        for name, values in tried.items()
    }


def _costs(arms: list[Arm], threads: int) -> list[Cost]:
    """Each arm for a few steps, alone in a process of its own."""
    if distributed():
        return [Cost(0.0, 0.0, 0, 0.0) for _ in arms]
    descriptions = [
        {"model": a.model.to_dict(), "task": a.task.to_dict(), "training": a.in_steps.to_dict()} for a in arms
    ]
    with (
        Workers(1, threads, fresh=True) as workers,
        progress("measuring the speed of each variant", len(arms)) as advance,
    ):
        return workers.all([(_cost, description) for description in descriptions], advance)


def _cost(description: Mapping[str, Any], report: Any) -> Cost:
    from formarium.training.harness import fit

    training = Training.from_dict(description["training"]).replace(
        steps=_WARM + _TIMED, evaluate_every=None, patience=None, keep="last", warmup=0.0
    )
    clock: list[float] = []
    try:
        _, result = fit(
            config_from_dict(description["model"]),
            config_from_dict(description["task"]).build(),
            training,
            metrics=None,
            show=False,
            on_step=lambda step, loss: clock.append(time.perf_counter()),
        )
        flops, memory, units = result.flops, result.memory, result.units / result.steps
    except FormariumError:
        flops, memory, units = 0.0, 0, 0.0
    durations = [b - a for a, b in zip(clock[_WARM - 1 :], clock[_WARM:], strict=False)]
    seconds = statistics.median(durations) if durations else math.inf
    report(1)
    return Cost(seconds, units / seconds, memory, flops)


def _budget(
    setting: Setting, costs: list[Cost], processes: int, threads: int, steps: int | None, own: list[int | None]
) -> Budget:
    """The steps of every run: fixed, or what fits the minutes at the measured speed, or their own."""
    if steps is None and setting.minutes is None and setting.steps is None:
        counted = [number for number in own if number is not None]
        if len(counted) < len(own):
            raise ConfigError("a setting says how many steps or how many minutes, or its trainings count epochs")
        return Budget(max(counted), None, processes, threads)
    if steps is None and setting.minutes is not None:
        runs = setting.seeds + (len(setting.learning_rates) if len(setting.learning_rates) > 1 else 0)
        once = sum(cost.step_seconds for cost in costs if math.isfinite(cost.step_seconds)) * runs / processes
        steps = few_digits(int(setting.minutes * 60 * _SAFETY / max(once, 1e-9)))
        if setting.steps is not None:
            steps = min(steps, setting.steps)
        if steps < _FEWEST:
            notice(f"this machine manages only {steps} steps a run in {setting.minutes:g} minutes; taking {_FEWEST}")
            steps = _FEWEST
    steps = steps if steps is not None else setting.steps
    assert steps is not None
    return Budget(steps, setting.minutes, processes, threads)


def few_digits(steps: int) -> int:
    """The largest of 1, 1.5, 2, 3, 5 and 7 times a power of ten that is no more, for at least 10 steps.

    Speeds are never measured twice alike; so a proof repeated on one machine mostly makes the same runs, to the same
    numbers.
    """
    if steps < 10:
        return steps
    power: int = 10 ** (len(str(steps)) - 2)
    return max(first * power for first in (10, 15, 20, 30, 50, 70) if first * power <= steps)


def with_seeds(setting: Setting, seeds: int | None, minutes: float | None) -> Setting:
    """The setting with the user's number of seeds and minutes; with more minutes, runs may be longer than its own."""
    changes: dict[str, Any] = {}
    if seeds is not None:
        changes["seeds"] = seeds
    if minutes is not None:
        changes |= {"minutes": minutes, "steps": None}
    return replace(setting, **changes)
