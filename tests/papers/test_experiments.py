"""Every experiment of every built paper can be run at every scale: it parses, its arms fit, its functions are there."""

import importlib
import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from formarium.config import look_up, parse, resolve
from formarium.errors import DataError
from formarium.lab.claim import (
    Claim,
    Comparison,
    Contrast,
    Exact,
    Exponent,
    Measurement,
    Reproduction,
    Scale,
    Setting,
    Speedup,
)
from formarium.lab.comparison import Arm, arms_of
from formarium.lab.prove import judge
from formarium.papers import cards
from formarium.tasks import Language

BUILT = [card for card in cards() if card.built]
CLAIMS = {f"{card.slug}/{claim.key}": claim for card in BUILT for claim in card.claims if claim.experiment is not None}
COSTS = {"rate", "parameters", "step_seconds", "memory"}


def each_experiment(kind: type[Comparison | Measurement | Exact]) -> list[Any]:
    """One parameter for each experiment of a kind and each of its scales, however many claims share it."""
    found, seen = [], set()
    for name, claim in CLAIMS.items():
        experiment: Any = claim.experiment
        if isinstance(experiment, kind) and id(experiment) not in seen:
            seen.add(id(experiment))
            found += [pytest.param(experiment, scale, id=f"{name}-{scale}") for scale in experiment.settings]
    return found


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 400)
    return path


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise DataError("tests fetch nothing")

    monkeypatch.setattr("formarium.tasks.data._fetch", refuse)
    monkeypatch.setattr("formarium.tasks.graphs.sources._torch_geometric", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def small(comparison: Comparison, scale: Scale, text: Path) -> tuple[Comparison, Setting]:
    """The comparison at a scale with a local text, read byte by byte, for any corpus, and no deeper than needed.

    What fits together in a few layers does so in many, which take long to match.
    """
    setting = comparison.settings[scale]
    model = parse(comparison.model).override(setting.model)
    if isinstance(depth := getattr(model, "depth", None), int):
        setting = replace(setting, model={**setting.model, "depth": min(depth, 3)})
    if isinstance(parse(comparison.task), Language.Config):
        local = {"corpus": str(text), "tokenizer": "bytes"}
        setting = replace(setting, task={**setting.task, **local})
        variants = []
        for variant in comparison.variants:
            task = {name: local.get(name, value) for name, value in variant.task.items()}
            variants.append(replace(variant, task=task))
        comparison = replace(comparison, variants=tuple(variants))
    return comparison, setting


MADE: dict[tuple[int, Scale], list[Arm]] = {}


def arms(comparison: Comparison, scale: Scale, text: Path) -> list[Arm]:
    key = id(comparison), scale
    if key not in MADE:
        try:
            MADE[key] = arms_of(*small(comparison, scale, text))
        except DataError as error:
            pytest.skip(f"its data are not on this machine: {error}")
    return MADE[key]


@pytest.mark.parametrize(("comparison", "scale"), each_experiment(Comparison))
def test_arms_can_be_made_and_are_of_one_size(comparison: Comparison, scale: Scale, text: Path) -> None:
    made = arms(comparison, scale, text)
    setting = comparison.settings[scale]
    names = [arm.variant.name for arm in made]
    assert len(set(names)) == len(names)
    assert setting.partial or set(names) == set(setting.variants or (v.name for v in comparison.variants))
    counted = all(arm.training.epochs is not None for arm in made)
    assert setting.minutes is not None or setting.steps is not None or counted, "nothing says how long it trains"
    assert setting.seeds >= 2, "one seed decides nothing"
    for arm in made:
        arm.training.check()
        if comparison.matched and arm.variant.matched:
            assert abs(arm.parameters - made[0].parameters) <= 0.01 * made[0].parameters, arm.variant.name
        assert json.dumps(arm.model.to_dict())


@pytest.mark.parametrize(("comparison", "scale"), each_experiment(Comparison))
def test_probes_are_there(comparison: Comparison, scale: Scale) -> None:
    for probe in comparison.probes:
        inspect.signature(look_up(probe)).bind("model", "task")


@pytest.mark.parametrize(("experiment", "scale"), [*each_experiment(Measurement), *each_experiment(Exact)])
def test_functions_are_there_and_take_their_options(experiment: Measurement | Exact, scale: Scale) -> None:
    setting = experiment.settings[scale]
    inspect.signature(look_up(experiment.function)).bind(0, **setting.options)
    assert setting.options == json.loads(json.dumps(setting.options)), "options are plain data"


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_required_can_be_judged(name: str) -> None:
    claim = CLAIMS[name]
    experiment = claim.experiment
    assert claim.kind == "exact" if isinstance(experiment, Exact) else claim.kind in ("comparison", "scaling")
    if isinstance(experiment, Exact):
        assert not claim.requires, "checks say themselves what must hold"
        return
    assert any(r.decides for r in claim.requires), "nothing decides"
    assert claim.kind != "scaling" or any(isinstance(r, Exponent) for r in claim.requires)
    for requirement in claim.requires:
        assert _named(requirement), requirement
    if isinstance(experiment, Comparison):
        for scale in experiment.settings:
            _judge_as_if_run(claim, experiment, scale)


def _named(requirement: Any) -> set[str]:
    """The variants that a requirement is about."""
    names = (getattr(requirement, field, None) for field in ("variant", "against", "base", "against_base"))
    return {name for name in names if name is not None}


def _judge_as_if_run(claim: Claim, comparison: Comparison, scale: Scale) -> None:
    """Judges invented numbers of the arms that run at the scale: what decides must find its own among them."""
    setting = comparison.settings[scale]
    every = [variant.name for variant in comparison.variants]
    ran = setting.variants or every
    metrics = {r.metric for r in claim.requires if hasattr(r, "metric")}
    for requirement in claim.requires:
        assert _named(requirement) <= set(every), "no such variant"
        if requirement.decides and not setting.partial and not isinstance(requirement, Reproduction):
            assert _named(requirement) <= set(ran), f"{requirement} decides, but does not run at the scale {scale}"
    row = {
        name: {**dict.fromkeys(metrics, 1.0 + 0.01 * number), "rate": 1.0, "losses": [1.0] * 40}
        for number, name in enumerate(ran)
    }
    numbers = [row, row]
    if not setting.partial:
        findings = judge(claim.requires, numbers)
        assert sum(f.decides for f in findings) == sum(
            r.decides for r in claim.requires if not isinstance(r, Reproduction) or _named(r) <= set(ran)
        )


@pytest.mark.parametrize(("comparison", "scale"), each_experiment(Comparison))
def test_what_is_measured_is_known(comparison: Comparison, scale: Scale, text: Path) -> None:
    """Without probes, a metric is the task's or a cost; the direction of a task's own is the one that is required."""
    task = arms(comparison, scale, text)[0].task.build()
    for claim in CLAIMS.values():
        if claim.experiment is not comparison:
            continue
        for requirement in claim.requires:
            metric = getattr(requirement, "metric", None)
            if metric is None or isinstance(requirement, Exponent | Speedup):
                continue
            own = task.metrics.get(metric.partition("@")[0])
            assert own is not None or metric in COSTS or comparison.probes, f"nothing measures {metric!r}"
            if isinstance(requirement, Contrast) and requirement.against is not None and own is not None:
                assert requirement.better == own, f"{metric}: {own} is better"


@pytest.mark.parametrize(("check", "scale"), [p for p in each_experiment(Exact) if p.values[1] == "demo"])
def test_checks_run(check: Exact, scale: Scale) -> None:
    try:
        found = look_up(check.function)(0, **check.settings[scale].options)
    except DataError as error:
        pytest.skip(f"its data are not on this machine: {error}")
    assert found
    for one in found:
        assert {"name", "value", "limit", "holds"} <= set(one)
        assert isinstance(one["holds"], bool)
        float(one["value"]), float(one["limit"])
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("slug", [card.slug for card in BUILT])
def test_what_a_card_offers_is_there(slug: str) -> None:
    card = next(card for card in BUILT if card.slug == slug)
    assert card.parts or card.model, "a built paper has something to take home"
    for name in card.parts:
        resolve(name) if hasattr(importlib.import_module("formarium.parts"), name) else _elsewhere(name)
    if card.model:
        parse(card.model)


def _elsewhere(name: str) -> None:
    """A part that is no configurable class: a function or a class of another room."""
    rooms = ("formarium.models", "formarium.tasks", "formarium.theory", "formarium.training")
    assert any(hasattr(importlib.import_module(room), name) for room in rooms), f"nothing is called {name!r}"
