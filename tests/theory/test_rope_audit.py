import dataclasses
import io
import json
import math
import re
from pathlib import Path

import pytest
from rich.console import Console

from formarium.errors import FormariumError
from formarium.theory.rope_audit import audit, lower_bounds
from formarium.theory.rope_bounds import no_base
from formarium.theory.rope_bounds_checks import MODELS
from formarium.theory.rope_config import plain_model, read_rotary, with_changes
from formarium.theory.rope_report import number, print_audit, write_html

# Model: effective base, length (or window) over it, and whether aliasing, stability, depth and the fp32 wall are kept.
TABLE = {
    "LLaMA-1 7B": (8.66e3, 0.2365, "yyny"),
    "Llama-2 7B": (8.66e3, 0.4730, "ynny"),
    "Llama-2 70B": (8.66e3, 0.4730, "ynny"),
    "Together LLaMA-2 32K": (6.93e4, 0.4730, "ynny"),
    "YaRN Llama-2 128k": (2.77e5, 0.4730, "ynny"),
    "CodeLlama 7B": (8.06e5, 0.0203, "yyyy"),
    "CodeLlama 34B": (8.06e5, 0.0203, "yyyy"),
    "Llama-3 8B": (4.07e5, 0.0201, "yyyy"),
    "Llama-3 70B": (4.07e5, 0.0201, "yyyy"),
    "Llama-3.1 8B": (3.26e6, 0.0402, "yyyy"),
    "Llama-3.1 405B": (3.26e6, 0.0402, "yyny"),
    "Llama-3.2 1B": (1.06e7, 0.0123, "yyyn"),
    "Gradient Llama-3 8B 1048k": (2.54e9, 0.0004, "yyyn"),
    "Mistral 7B v0.1": (8.66e3, 0.4730, "ynny"),
    "Mistral 7B v0.3": (8.06e5, 0.0407, "yyyy"),
    "Mixtral 8x22B": (8.06e5, 0.0813, "yyny"),
    "DeepSeek-LLM 7B": (8.66e3, 0.4730, "ynny"),
    "DeepSeek-Coder 6.7B": (3.34e5, 0.0490, "yyyy"),
    "DeepSeek-V2": (3.00e5, 0.5462, "ynny"),
    "DeepSeek-V3": (3.00e5, 0.5462, "ynny"),
    "DeepSeek-V3 without YaRN": (7.50e3, 21.85, "nnny"),
    "Qwen2.5 7B 1M": (7.77e6, 0.1299, "yyny"),
    "GPT-NeoX 20B": (4.64e3, 0.4412, "ynny"),
}
FACTS = {model.name: model.settings for model in MODELS}
LLAMA3 = FACTS["Llama-3.1 8B"]


@pytest.mark.parametrize("name", TABLE)
def test_effective_bases_and_verdicts_of_known_models(name):
    effective, ratio, verdicts = TABLE[name]
    model = read_rotary(FACTS[name])
    (kind,) = model.kinds
    found = lower_bounds(kind, model.length)
    assert kind.effective_base(model.length) == pytest.approx(effective, rel=5.1e-3)
    assert kind.distance(model.length) / kind.effective_base(model.length) == pytest.approx(ratio, abs=6e-5, rel=3e-4)
    assert [bound.holds for bound in found] == [v == "y" for v in verdicts[:3]]
    assert (kind.effective_base(model.length) < 2**23) == (verdicts[3] == "y")
    assert [bound.holds for bound in found] == [bound.margin >= 1 for bound in found]


def test_the_window_and_the_whole_context_are_told_apart():
    (kind,) = audit(read_rotary(FACTS["Mistral 7B v0.1"])).kinds
    assert (kind.window, kind.distance) == (4096, 4096)
    assert kind.length_over_base == pytest.approx(3.78, abs=5e-3)
    assert kind.distance_over_base == pytest.approx(0.473, abs=5e-4)


def test_an_audit_as_data():
    found = audit(read_rotary(LLAMA3), target_length=32768)
    data = json.loads(json.dumps(dataclasses.asdict(found), allow_nan=False))
    (kind,) = data["kinds"]
    assert (data["length"], data["original_length"], data["dtype"]) == (131072, 8192, "fp32")
    assert kind["scaling"].startswith("Llama3") or kind["scaling"] == "Llama3"
    assert [b["name"] for b in kind["bounds"]] == ["aliasing", "stability", "depth"]
    assert kind["similarity"]["longest"] == 85132
    assert not kind["similarity"]["at_least"]
    readings = {r["reading"]: r for r in kind["readings"]}
    assert [name for name, r in readings.items() if r["usual"]] == ["product", "tables"]
    assert readings["product"]["slowest"] == 0
    assert readings["angles"]["all_channels"] > 0.99
    assert readings["tables"]["dtype"] == "bf16"
    advice = kind["advice"]
    assert advice["possible"]
    assert advice["similarity_first"] <= advice["similarity_settled"]
    assert advice["stretch"] < 1


def test_advice_is_what_the_audit_then_grants():
    target = 65536
    model = read_rotary(FACTS["Mixtral 8x22B"])
    advice = audit(model, target_length=target).kinds[0].advice
    low, high = advice.bases
    enough = lower_bounds(with_changes(model, base=low * 1.001, length=target).kinds[0], target)
    short = lower_bounds(with_changes(model, base=low * 0.999, length=target).kinds[0], target)
    assert [b.holds for b in enough] == [True] * 3
    assert [b.holds for b in short] == [True, True, False]
    assert with_changes(model, base=high * 0.999).kinds[0].effective_base() < 2**23
    assert 1 / advice.stretch == pytest.approx(lower_bounds(model.kinds[0], target)[2].margin)
    scaled = read_rotary(
        {**FACTS["Mixtral 8x22B"], "rope_scaling": {"type": "linear", "factor": advice.stretch * 1.001}}
    )
    assert lower_bounds(scaled.kinds[0], target)[2].holds


def test_no_base_is_left_beyond_the_longest_length():
    deep = plain_model(5e5, 64, 4096, 8192)
    found = audit(deep, target_length=45_000).kinds[0].advice
    assert not found.possible
    assert found.bases[0] > found.bases[1]
    assert found.longest_in_format == pytest.approx(2**23 * (2 * math.log(1 / 0.95) / 4096) ** 0.5, rel=1e-4)
    assert no_base(45_000, 0.95, 4096)
    assert "No base is left below the fp32 wall" in printed(audit(deep, target_length=45_000))
    assert audit(deep, target_length=40_000).kinds[0].advice.possible


def test_options_of_an_audit():
    plain = plain_model(5e5, 128, 32, 8192)
    usual, strict = (audit(plain, strict=s).kinds[0].bounds[0] for s in (False, True))
    assert usual.longest == 2 * strict.longest
    assert audit(plain, epsilon=0.99).kinds[0].bounds[1].longest < audit(plain).kinds[0].bounds[1].longest
    assert audit(plain, dtype="bfloat16").kinds[0].wall.limit == 128
    assert any("tf32" in note for note in audit(plain, dtype="tf32").notes)
    assert any("published" in note for note in audit(read_rotary(FACTS["Qwen2.5 7B 1M"])).notes)
    for wrong in (
        {"epsilon": 1.0},
        {"epsilon": -1.0},
        {"dtype": "fp12"},
        {"target_length": 0},
        {"target_length": 10**20},
    ):
        with pytest.raises(FormariumError):
            audit(plain, **wrong)


@pytest.mark.parametrize(("rotated", "length"), [(4, 1), (4, 2), (128, 1), (256, 2**30)])
def test_extreme_models_have_an_audit(rotated, length):
    found = audit(plain_model(1e4, rotated, 1, length))
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    print_audit(found, Console(file=io.StringIO(), width=40))


def test_a_base_that_no_float_holds_is_said_to_be_so():
    settings = {
        **FACTS["Llama-2 7B"],
        "rope_parameters": {"rope_type": "proportional", "partial_rotary_factor": 4 / 128},
        "max_position_embeddings": 10**9,
    }
    found = audit(read_rotary(settings))
    assert found.kinds[0].bounds[2].base is None
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    assert "beyond float64" in printed(found)


def test_a_wall_that_is_not_met_is_said_beside_bounds_that_are():
    text = printed(audit(plain_model(5e7, 128, 32, 8192)), width=200)
    assert "For 8,192 tokens the lower bounds are met, the fp32 wall is not;" in text


def test_a_precision_that_cannot_count_so_far_is_said_to_be_so():
    found = audit(plain_model(1e4, 64, 4, 70_000), dtype="fp16")
    json.dumps(dataclasses.asdict(found), allow_nan=False)
    assert "positions are beyond what fp16 can count" in printed(found, width=200)


def printed(found, width: int = 100) -> str:
    file = io.StringIO()
    print_audit(found, Console(file=file, width=width))
    return file.getvalue()


def test_the_drawing_marks_the_model_among_the_regions():
    found = audit(read_rotary({**LLAMA3, "_name_or_path": "a [bold]name[/bold]"}))
    text = printed(found)
    assert "a [bold]name[/bold]" in text
    rows = [line.partition("|")[2] for line in text.splitlines() if re.match(r" *[\d.,e+]+ \|", line)]
    assert len(rows) == 14
    drawn = "".join(rows)
    assert drawn.count("@") == 1
    assert set(drawn) == set("x#+. @")
    assert set(rows[0].rstrip()) == {"x"}
    # From left to right every bound is lost in its order, whatever the base.
    below = [row for row in rows if "x" not in row]
    assert len(below) > 8
    for row in below:
        assert re.fullmatch(r"[#@]*[+@]*[.@]*[ @]*", row)
    assert "For 131,072 tokens the lower bounds are met" in text


def test_the_page_needs_nothing_else(tmp_path: Path):
    page = tmp_path / "deep" / "page.html"
    settings = {**FACTS["Llama-2 7B"], "_name_or_path": "<script>alert(1)</script>", "sliding_window": 1024}
    found = audit(read_rotary(settings), target_length=8192)
    write_html(found, page)
    html = page.read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "Plotly.newPlot" in html
    outside = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", html.partition("<main>")[2])
    assert not outside
    assert f"{found.kinds[0].bounds[2].margin:.3g}" in html


@pytest.mark.parametrize(
    ("value", "text"),
    [(8660.4, "8,660"), (3.2583e6, "3.26e+06"), (99.96, "100"), (0.0004, "0.0004"), (float("inf"), "inf")],
)
def test_numbers_for_reading(value, text):
    assert number(value) == text
