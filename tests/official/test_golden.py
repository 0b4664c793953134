"""Every paper held to tensors that its official code, or a direct evaluation of its equations, computed.

A folder a paper: cases.json says which module of it is called with which inputs and must give which outputs (and
gradients) within which tolerance; the tensors lie beside it. Small cases are kept here; where a folder of more lies
beside the checkout (or ``FORMARIUM_GOLDEN`` names one), those of built papers are run too.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from formarium import official
from formarium.errors import FormariumError

HERE = Path(__file__).parents[1] / "golden"
MORE = Path(os.environ.get("FORMARIUM_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


def cases() -> Iterator[Any]:
    for root in (HERE, MORE):
        for folder in sorted(p.parent for p in root.glob("*/cases.json")):
            if folder.name not in official.papers() or (root == MORE and (HERE / folder.name).exists()):
                continue
            for case in json.loads((folder / "cases.json").read_text())["cases"]:
                yield pytest.param(folder, case, id=f"{folder.name}/{case['name']}")


@pytest.mark.parametrize(("folder", "case"), list(cases()))
def test_official_tensors(folder: Path, case: dict[str, Any]) -> None:
    tensors = load_file(folder / case["file"])
    state = {name.removeprefix("state."): t for name, t in tensors.items() if name.startswith("state.")}
    inputs = {name: tensors[key].clone() for name, key in case["inputs"].items()}
    gradients = case.get("gradients") or {}
    for name in gradients.get("of_inputs", {}):
        inputs[name].requires_grad_(True)
    module = official.load(folder.name, case["module"], case["config"], state)
    if isinstance(module, torch.nn.Module):
        module.train(case.get("mode") == "train")
    with torch.set_grad_enabled(bool(gradients)):
        result = module(**inputs)
    if not isinstance(result, dict):
        result = {next(iter(case["outputs"])): result}
    tolerance = {"atol": case["atol"], "rtol": case["rtol"]}
    for name, key in case["outputs"].items():
        got, want = torch.as_tensor(result[name]), tensors[key]
        assert got.shape == want.shape, name
        if not want.dtype.is_floating_point:
            assert torch.equal(got.to(want.dtype), want), name
        else:
            if want.dtype == torch.float64:
                assert got.dtype == torch.float64, f"{name} left float64"
            torch.testing.assert_close(got.detach().double(), want.double(), **tolerance, equal_nan=True)
    if gradients:
        sum((result[name] * tensors[key]).sum() for name, key in gradients["cotangents"].items()).backward()
        wider = {k: 10 * v for k, v in tolerance.items()}
        for name, key in gradients.get("of_inputs", {}).items():
            assert inputs[name].grad is not None, f"no gradient of {name}"
            torch.testing.assert_close(inputs[name].grad.double(), tensors[key].double(), **wider)


def test_unknown_paper_and_module_are_named_with_the_nearest() -> None:
    with pytest.raises(FormariumError, match="did you mean 'polycom'"):
        official.load("policom", "polynorm", {}, {})
    with pytest.raises(FormariumError, match="did you mean 'polynorm'"):
        official.load("polycom", "polynrm", {}, {})


def test_lacking_and_misfit_tensors_are_named() -> None:
    with pytest.raises(FormariumError, match="'bias'"):
        official.load("polycom", "polynorm", {"order": 3, "eps": 1e-6}, {"weight": torch.zeros(3)})
    state = {"weight": torch.zeros(4), "bias": torch.zeros(1)}
    with pytest.raises(FormariumError, match="weight"):
        official.load("polycom", "polynorm", {"order": 3, "eps": 1e-6}, state)
