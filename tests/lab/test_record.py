"""What a record says of how it was made."""

from typing import Any

import pytest

from formarium.lab.record import ArmRecord, Record, command


def test_a_command_leaves_out_where_results_went() -> None:
    typed = ["prove", "a/b", "--out", "/home/me/runs", "--minutes", "20", "--records=there", "--set", "x=a b"]
    assert command(typed) == "formarium prove a/b --minutes 20 --set 'x=a b'"


@pytest.mark.parametrize(("epochs", "said"), [(None, "40 steps"), (3, "at most 40 steps")])
def test_trainings_that_count_epochs_differ_in_length(epochs: int | None, said: str) -> None:
    arm = ArmRecord("one", "", {}, {}, {"epochs": epochs}, 1, 0.1, 1.0, 1, 0.0, 1e-3, {}, [], [], [], [])
    judged: dict[str, Any] = {"kind": "comparison", "notes": "", "scale": "demo", "verdict": "supported"}
    record = Record(
        "paper",
        "Title",
        "key",
        "text",
        "source",
        sentence="",
        findings=[],
        seeds=1,
        budget={"steps": 40},
        arms=[arm],
        **judged,
    )
    assert record.length == said
