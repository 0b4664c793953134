import json

import pytest

from formarium.lab.claim import Contrast
from formarium.lab.prove import judge
from formarium.theory import rope_bounds_checks as checks
from formarium.theory.rope_precision import READINGS


@pytest.mark.parametrize(
    ("check", "options"),
    [
        (checks.precision_wall, {}),
        (checks.precision_wall, {"reading": "accumulated", "rotated": 128}),
        (checks.goldilocks_zone, {}),
        (checks.million_tokens, {}),
        (checks.case_study, {}),
        (checks.invariants, {}),
    ],
)
def test_checks_are_what_the_lab_takes(check, options):
    found = check(0, **options)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for item in found:
        assert set(item) == {"name", "value", "limit", "holds"}
        assert isinstance(item["holds"], bool)
    assert len({item["name"] for item in found}) == len(found)
    assert check(0, **options) == found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_readings_of_the_wall_disagree(seed):
    holds = {
        reading: all(
            c["holds"] for c in checks.precision_wall(seed, reading, "bf16" if reading == "angles" else "fp32")
        )
        for reading in READINGS
    }
    assert holds == {"product": False, "cosine": False, "tables": False, "angles": False, "accumulated": True}
    product = checks.precision_wall(seed)
    assert [c["holds"] for c in product] == [True] * 3 + [False] * 3
    assert all(c["value"] == 0 for c in product)


def test_the_readings_as_a_measurement():
    numbers = [checks.precision_readings(seed) for seed in range(3)]
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert set(numbers[0]) == set(READINGS)
    above = [Contrast(reading, metric="above", better="higher", margin=0.5) for reading in READINGS]
    verdicts = dict(zip(READINGS, (f.verdict for f in judge(above, numbers)), strict=True))
    assert verdicts["product"] == "refuted"
    assert verdicts["accumulated"] == verdicts["angles"] == verdicts["tables"] == "supported"


def test_the_region_and_its_end():
    assert all(c["holds"] for c in checks.goldilocks_zone(0))
    assert not all(c["holds"] for c in checks.goldilocks_zone(0, stated=500e3))
    assert not all(c["holds"] for c in checks.goldilocks_zone(0, epsilon=0.5))
    by_depth = [c["holds"] for c in checks.million_tokens(0)]
    assert by_depth == [False, False, False, True, True, True, True, True]


def test_invariants_hold_for_any_numbers():
    for seed in range(10):
        assert all(c["holds"] for c in checks.invariants(seed))


def test_models_that_work_break_bounds_and_those_that_break_do_too():
    found = {c["name"]: c for c in checks.case_study(0)}
    assert not found["Llama-2 7B works; margin to depth"]["holds"]
    assert not found["Llama-3.2 1B works; margin to fp32 wall"]["holds"]
    assert found["Llama-3 8B works; margin to depth"]["holds"]
    assert all(c["holds"] for name, c in found.items() if "breaks" in name)
    assert not any("without YaRN" in name for name in found)
    depth = [c["holds"] for c in checks.case_study(0, epsilon=0.01) if "margin to depth" in c["name"]]
    assert sum(depth) > sum(c["holds"] for name, c in found.items() if "margin to depth" in name)
