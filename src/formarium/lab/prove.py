"""From a claim to its record: run the experiment of the scale, judge what the claim requires, say it in words."""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from formarium.config import digest, look_up, suggestion
from formarium.errors import DataError, FormariumError
from formarium.files import cache_folder, read_json, write_json
from formarium.lab.claim import (
    Card,
    Claim,
    Comparison,
    Contrast,
    Exact,
    Exponent,
    Interaction,
    Measurement,
    Reproduction,
    Requirement,
    Scale,
    Setting,
    Speedup,
)
from formarium.lab.comparison import ComparisonResult, compare, with_seeds
from formarium.lab.record import ArmRecord, Finding, Record, surroundings, thinned
from formarium.lab.runs import Workers, code_fingerprint, default_processes, distributed
from formarium.lab.statistics import Verdict, overall, slope, speedup, t_interval, verdict
from formarium.progress import notice, progress

Numbers = list[dict[str, dict[str, Any]]]  # one entry a seed: variant to metric to number, or to size to number


@dataclasses.dataclass(frozen=True)
class Options:
    """What the user may change of a proof without changing the claim."""

    seeds: int | None = None
    minutes: float | None = None
    steps: int | None = None
    processes: int | None = None
    threads: int = 1

    @property
    def at_once(self) -> int:
        """How many processes work side by side."""
        return self.processes or default_processes(self.threads)


def prove(card: Card, scale: Scale, keys: Sequence[str] = (), options: Options | None = None) -> Iterator[Record]:
    """The records of a paper's claims at a scale, one by one as they are done; claims that share runs share them.

    keys: which claims; all that can be put to the proof at that scale where empty. Claims that take what data there are
    are left out where there are none. Raises FormariumError for an unknown claim, when none of the chosen has an
    experiment at the scale, and when none has data.
    """
    options = options or Options()
    known = [claim.key for claim in card.claims]
    for key in keys:
        if key not in known:
            raise FormariumError(f"{card.slug} has no claim {key!r}{suggestion(key, known)}")
    chosen = [claim for claim in card.claims if not keys or claim.key in keys]
    ready = [claim for claim in chosen if scale in claim.available()]
    if not ready:
        others = sorted({s for claim in chosen for s in claim.available()})
        hint = f"; there are experiments at: {', '.join(others)}" if others else "; its experiments are not built yet"
        raise FormariumError(f"no claim of {card.slug} can be put to the proof at the scale {scale!r}{hint}")
    wanted = _metrics_by_experiment(card.claims)
    lacking: DataError | None = None
    done = 0
    for claim in ready:
        began = time.perf_counter()
        notice(f"{card.slug} / {claim.key}: {claim.text}")
        try:
            record = _prove(card, claim, scale, options, wanted)
        except DataError as error:
            if not _partial(claim, scale):
                raise
            notice(f"{claim.key} is left out: {error}")
            lacking = error
            continue
        done += 1
        yield dataclasses.replace(record, seconds=time.perf_counter() - began, **surroundings())
    if lacking is not None and not done:
        raise lacking


def _partial(claim: Claim, scale: Scale) -> bool:
    """Whether the claim's experiment takes what data there are."""
    assert claim.experiment is not None
    return isinstance(claim.experiment, Comparison) and claim.experiment.settings[scale].partial


def compare_freely(comparison: Comparison, requires: Sequence[Contrast], options: Options) -> Record:
    """The record of a comparison that belongs to no paper: a user's own variants, each held against the first."""
    names = [variant.name for variant in comparison.variants]
    claim = Claim(
        key=digest([comparison.task, comparison.model, names]),
        text=f"Better than {names[0]}: {', '.join(names[1:])}.",
        source="your own comparison",
        kind="comparison",
        experiment=comparison,
        requires=tuple(requires),
    )
    card = Card("compare", comparison.task, "", (), (), (), "", (claim,))
    return next(prove(card, "laptop", (), options))


def _metrics_by_experiment(claims: Sequence[Claim]) -> dict[int, list[str]]:
    """What all claims of a paper want measured of each experiment, so that they share its runs whichever are chosen."""
    wanted: dict[int, list[str]] = {}
    for claim in claims:
        metrics = [r.metric for r in claim.requires if isinstance(r, Contrast | Interaction | Reproduction)]
        own = wanted.setdefault(id(claim.experiment), [])
        own.extend(m for m in metrics if m not in own)
    return wanted


def _prove(card: Card, claim: Claim, scale: Scale, options: Options, wanted: Mapping[int, list[str]]) -> Record:
    experiment = claim.experiment
    assert experiment is not None
    setting = with_seeds(experiment.settings[scale], options.seeds, options.minutes)
    parts: dict[str, Any]
    if isinstance(experiment, Comparison):
        result = compare(
            experiment,
            setting,
            wanted[id(experiment)],
            processes=options.at_once,
            threads=options.threads,
            steps=options.steps,
        )
        findings = [_cut_short(f, result) for f in judge(claim.requires, _numbers(result))]
        parts = {
            "seeds": result.seeds,
            "budget": dataclasses.asdict(result.budget),
            "arms": _arm_records(result),
            "unit": result.unit,
            "headline": result.headline,
            "split": experiment.split,
        }
    elif isinstance(experiment, Measurement):
        numbers: Numbers = _measured(experiment.function, setting, 1 if experiment.timed else options.at_once)
        findings = judge(claim.requires, numbers)
        parts = {"seeds": setting.seeds, "budget": {"options": dict(setting.options)}, "numbers": numbers}
    else:
        assert isinstance(experiment, Exact)
        per_seed: list[list[dict[str, Any]]] = _measured(experiment.function, setting)
        checks = [{**check, "seed": seed} for seed, found in enumerate(per_seed) for check in found]
        findings = [_exact(checks)]
        parts = {"seeds": setting.seeds, "budget": {"options": dict(setting.options)}, "checks": checks}
    final = overall([f.verdict for f in findings if f.decides])
    return Record(
        paper=card.slug,
        title=card.title,
        claim=claim.key,
        text=claim.text,
        source=claim.source,
        kind=claim.kind,
        notes=claim.notes,
        scale=scale,
        verdict=final,
        sentence=in_words(final, findings),
        findings=findings,
        **parts,
    )


def _numbers(result: ComparisonResult) -> Numbers:
    """The metrics and probes of every trained model, with what its training cost and its learning curve beside them."""
    numbers: Numbers = []
    for seed in range(result.seeds):
        row = {}
        for name, arm in result.arms.items():
            outcome = arm.outcomes[seed]
            costs = {"rate": outcome.rate, "parameters": arm.arm.parameters, "diverged": outcome.diverged}
            alone = {"step_seconds": arm.cost.step_seconds, "memory": arm.cost.memory}
            row[name] = {**outcome.metrics, **costs, **alone, "losses": outcome.losses}
        numbers.append(row)
    return numbers


def _cut_short(finding: Finding, result: ComparisonResult) -> Finding:
    """A published number that was not met says nothing where the budget ended the training before its last epoch."""
    whole = result.arms[finding.variant].arm.steps if finding.within else None
    if finding.verdict != "refuted" or whole is None or whole <= result.budget.steps:
        return finding
    label = f"{finding.label}, after {result.budget.steps:,} of {whole:,} steps"
    return dataclasses.replace(finding, verdict="inconclusive", label=label)


def judge(requirements: Sequence[Requirement], numbers: Numbers) -> list[Finding]:
    """Each requirement against the numbers of all seeds; one beside the verdict only if its variants ran."""
    ran = set(numbers[0]) if numbers else set()
    found = []
    for r in requirements:
        named = {getattr(r, name, None) for name in ("variant", "against", "base", "against_base")} - {None}
        if named <= ran or (r.decides and not isinstance(r, Reproduction)):
            found.append(_judged(r, numbers))
    return found


def _judged(requirement: Requirement, numbers: Numbers) -> Finding:
    if isinstance(requirement, Contrast):
        return _contrast(requirement, numbers)
    if isinstance(requirement, Interaction):
        return _interaction(requirement, numbers)
    if isinstance(requirement, Reproduction):
        return _reproduction(requirement, numbers)
    if isinstance(requirement, Exponent):
        return _exponent(requirement, numbers)
    return _speedup(requirement, numbers)


def _contrast(contrast: Contrast, numbers: Numbers) -> Finding:
    own = [_number(row, contrast.variant, contrast.metric) for row in numbers]
    lower = contrast.better == "lower"
    if contrast.against is None:
        effects = [-v if lower else v for v in own]
        margin = -contrast.margin if lower else contrast.margin
    else:
        other = [_number(row, contrast.against, contrast.metric) for row in numbers]
        effects = [_effect(a, b, contrast) for a, b in zip(own, other, strict=True)]
        margin = contrast.margin
    found, interval = verdict(effects, margin)
    label = contrast.label or _label(contrast)
    return Finding(
        label=label,
        verdict=found,
        effect=interval.mean,
        low=interval.low,
        high=interval.high,
        margin=margin,
        values=effects,
        decides=contrast.decides,
        metric=contrast.metric,
        relative=contrast.relative,
        variant=contrast.variant,
        against=contrast.against,
    )


def _effect(own: float, other: float, contrast: Contrast) -> float:
    """How far ``own`` is better than ``other``; a diverged run is infinitely worse, and two are alike."""
    finite = math.isfinite(own), math.isfinite(other)
    if finite != (True, True):
        return 0.0 if finite[0] == finite[1] else (math.inf if finite[0] else -math.inf)
    difference = other - own if contrast.better == "lower" else own - other
    return difference / abs(other) if contrast.relative else difference


def _label(contrast: Contrast) -> str:
    if contrast.against is None:
        way = "below" if contrast.better == "lower" else "above"
        return f"{contrast.metric} of {contrast.variant} {way} {contrast.margin:g}"
    way = "lower" if contrast.better == "lower" else "higher"
    size = f"{100 * abs(contrast.margin):.3g} %" if contrast.relative else f"{abs(contrast.margin):.3g}"
    by = f" by more than {size}" if contrast.margin > 0 else ""
    least = f", or at most {size} worse" if contrast.margin < 0 else ""
    return f"{contrast.variant} {way} than {contrast.against} in {contrast.metric}{by}{least}"


def _interaction(requirement: Interaction, numbers: Numbers) -> Finding:
    def worsening(variant: str, base: str) -> list[float]:
        """By how much each seed loses from the base to the variant."""
        pair = Contrast(base, variant, requirement.metric, requirement.better)
        own = [_number(row, variant, pair.metric) for row in numbers]
        start = [_number(row, base, pair.metric) for row in numbers]
        lost = [_effect(a, b, pair) for a, b in zip(start, own, strict=True)]
        return [x / abs(b) for x, b in zip(lost, start, strict=True)] if requirement.relative else lost

    ours = worsening(requirement.variant, requirement.base)
    theirs = worsening(requirement.against, requirement.against_base)
    alike = [math.isinf(a) and a == b for a, b in zip(ours, theirs, strict=True)]
    effects = [0.0 if same else b - a for same, a, b in zip(alike, ours, theirs, strict=True)]
    decided, interval = verdict(effects, requirement.margin)
    label = (
        f"{requirement.metric} worsens less from {requirement.base} to {requirement.variant} than from "
        f"{requirement.against_base} to {requirement.against}"
    )
    return Finding(
        label=requirement.label or label,
        verdict=decided,
        effect=interval.mean,
        low=interval.low,
        high=interval.high,
        margin=requirement.margin,
        values=effects,
        decides=requirement.decides,
        metric=requirement.metric,
        relative=requirement.relative,
        variant=requirement.variant,
        against=requirement.against,
    )


def _reproduction(requirement: Reproduction, numbers: Numbers) -> Finding:
    own = [_number(row, requirement.variant, requirement.metric) for row in numbers]
    effects = [value / requirement.value - 1 for value in own]
    interval = t_interval(effects)
    holds = abs(interval.mean) <= requirement.tolerance  # not where a seed diverged and the mean is no number
    ours = requirement.value * (1 + interval.mean)
    return Finding(
        label=requirement.label
        or f"{requirement.variant}: {requirement.metric} {ours:.4f}, published {requirement.value:g}",
        verdict="supported" if holds else "refuted",
        effect=interval.mean,
        low=interval.low,
        high=interval.high,
        margin=requirement.tolerance,
        values=effects,
        decides=requirement.decides,
        metric=requirement.metric,
        relative=True,
        variant=requirement.variant,
        within=True,
    )


def _exponent(requirement: Exponent, numbers: Numbers) -> Finding:
    slopes = []
    for row in numbers:
        costs = {float(size): float(cost) for size, cost in row[requirement.variant][requirement.over].items()}
        slopes.append(slope(list(costs), list(costs.values())))
    lower = requirement.better == "lower"
    effects = [-s if lower else s for s in slopes]
    margin = -requirement.limit if lower else requirement.limit
    found, interval = verdict(effects, margin)
    way = "below" if lower else "above"
    return Finding(
        label=requirement.label
        or f"exponent of {requirement.over} for {requirement.variant} {way} {requirement.limit:g}",
        verdict=found,
        effect=interval.mean,
        low=interval.low,
        high=interval.high,
        margin=margin,
        values=effects,
        decides=requirement.decides,
        metric=requirement.over,
        variant=requirement.variant,
    )


def _speedup(requirement: Speedup, numbers: Numbers) -> Finding:
    effects: list[float] = []
    for row in numbers:
        # Read as the numbers of a contrast are, so that an absent or diverged arm is treated alike.
        rates = [_number(row, name, "rate") for name in (requirement.variant, requirement.against)]
        diverged = [math.isnan(rate) for rate in rates]
        if any(diverged):
            effects.append(1.0 if all(diverged) else -math.inf if diverged[0] else math.inf)
            continue
        found = speedup(row[requirement.variant]["losses"], row[requirement.against]["losses"])
        effects.append(found * rates[0] / rates[1] if requirement.in_time else found)
    decided, interval = verdict(effects, requirement.factor)
    what = "seconds" if requirement.in_time else "steps"
    return Finding(
        label=requirement.label
        or f"{requirement.variant} at the last loss of {requirement.against} in 1/{requirement.factor:g} of the {what}",
        verdict=decided,
        effect=interval.mean,
        low=interval.low,
        high=interval.high,
        margin=requirement.factor,
        values=effects,
        decides=requirement.decides,
        metric=f"speedup in {what}",
        variant=requirement.variant,
        against=requirement.against,
    )


def _exact(checks: Sequence[Mapping[str, Any]]) -> Finding:
    failed = [c for c in checks if not c["holds"]]
    found: Verdict = "refuted" if failed else "supported"
    names = sorted({str(c["name"]) for c in failed})
    label = f"not so: {'; '.join(names[:4])}" if failed else f"all {len(checks)} checks hold"
    share = 1 - len(failed) / max(1, len(checks))
    return Finding(label, found, share, share, share, 1.0, [float(c["holds"]) for c in checks], True, "checks")


def _number(row: Mapping[str, Mapping[str, Any]], variant: str, metric: str) -> float:
    if variant not in row:
        raise FormariumError(f"no variant {variant!r} ran{suggestion(variant, row)}")
    if row[variant].get("diverged") is not None:
        return math.nan
    if metric not in row[variant]:
        raise FormariumError(f"{variant} was not measured by {metric!r}{suggestion(metric, row[variant])}")
    return float(row[variant][metric])


def _measured(path: str, setting: Setting, at_once: int = 1) -> list[Any]:
    """The function's answer for each seed, in processes of its own; finished seeds are read instead."""
    keys = [digest([path, dict(setting.options), seed, code_fingerprint()]) for seed in range(setting.seeds)]
    files = [cache_folder("lab", f"{key}.json") for key in keys]
    todo = [(seed, file) for seed, file in enumerate(files) if not file.exists()]
    if todo:
        calls: list[tuple[Callable[..., Any], Any]] = [
            (_measure, {"path": path, "seed": seed, "options": dict(setting.options), "file": str(file)})
            for seed, file in todo
        ]
        if distributed():
            for call, argument in calls:
                call(argument, lambda amount: None)
        else:
            at_once = min(at_once, len(calls))
            threads = max(1, default_processes(1) // at_once)
            with Workers(at_once, threads) as workers, progress("measuring", len(calls)) as advance:
                workers.all(calls, advance)
    return [read_json(file, "measurement") for file in files]


def _measure(argument: Mapping[str, Any], report: Callable[[int], None]) -> None:
    import torch

    torch.manual_seed(argument["seed"])
    answer = look_up(argument["path"])(argument["seed"], **argument["options"])
    write_json(Path(argument["file"]), answer)
    report(1)


def _arm_records(result: ComparisonResult) -> list[ArmRecord]:
    found = []
    for name, arm in result.arms.items():
        curves = [thinned(outcome.losses) for outcome in arm.outcomes]
        longest = max((steps for steps, _ in curves), key=len, default=[])
        found.append(
            ArmRecord(
                name=name,
                note=arm.arm.variant.note,
                model=arm.arm.model.to_dict(),
                task=arm.arm.task.to_dict(),
                training=arm.arm.training.to_dict(),
                parameters=arm.arm.parameters,
                step_seconds=arm.cost.step_seconds,
                rate=arm.cost.rate,
                memory=arm.cost.memory,
                flops=arm.cost.flops,
                learning_rate=arm.learning_rate,
                tried={f"{rate:g}": value for rate, value in arm.tried.items()},
                metrics=[outcome.metrics for outcome in arm.outcomes],
                diverged=[outcome.diverged for outcome in arm.outcomes],
                curve_steps=longest,
                curves=[losses for _, losses in curves],
            )
        )
    return found


def in_words(final: Verdict, findings: Sequence[Finding]) -> str:
    """The verdict as a sentence or two that a reader of the paper understands."""
    deciding = [f for f in findings if f.decides]
    lead = {
        "supported": "The claim holds here.",
        "refuted": "The claim does not hold here.",
        "inconclusive": "This run cannot tell.",
    }[final]
    parts = []
    for f in deciding:
        if f.metric == "checks":
            parts.append(f.label + ".")
            continue
        scale, unit = (100, " %") if f.relative else (1, "")
        number = f"{scale * f.effect:+.3g}{unit} [{scale * f.low:+.3g}, {scale * f.high:+.3g}]"
        parts.append(f"{f.label}: {f.verdict} ({number}).")
    return " ".join([lead, *parts])
