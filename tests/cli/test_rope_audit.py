import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from formarium.cli.main import app
from formarium.theory import rope_config

CONFIG = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "torch_dtype": "bfloat16",
}
PLAIN = ["--theta", "10000", "--head-dim", "128", "--layers", "32", "--context", "4096"]
runner = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def run(*arguments: object) -> str:
    result = runner.invoke(app, ["rope-audit", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(*arguments: object) -> dict:
    return json.loads(run(*arguments, "--json"))


def test_a_file_a_folder_and_four_numbers_say_the_same(config):
    by_file, by_folder, by_numbers = as_json(config), as_json(config.parent), as_json(*PLAIN)
    assert by_file["kinds"] == by_folder["kinds"] == by_numbers["kinds"]
    assert by_file["kinds"][0]["effective_base"] == pytest.approx(8660, abs=1)


def test_what_is_printed(config):
    text = run(config)
    for words in ("aliasing", "depth", "fp32 wall", "usual code", "@ the model", "For 4,096 tokens"):
        assert words in text


def test_options_change_the_models_numbers(config):
    changed = as_json(config, "--theta", 5e5, "--layers", 8, "--context", 8192)
    plain = as_json("--theta", 5e5, "--head-dim", 128, "--layers", 8, "--context", 8192)
    assert changed["kinds"][0]["bounds"] == plain["kinds"][0]["bounds"]
    assert as_json(config, "--target-length", 9000)["kinds"][0]["advice"]["length"] == 9000
    assert as_json(config, "--epsilon", 0.5)["epsilon"] == 0.5
    assert as_json(config, "--dtype", "bf16")["kinds"][0]["wall"]["limit"] == 128
    usual, strict = (as_json(config, *more)["kinds"][0]["bounds"][0] for more in ([], ["--strict-nyquist"]))
    assert usual["longest"] == 2 * strict["longest"]


def test_a_page_is_written(config, tmp_path):
    page = tmp_path / "page.html"
    assert "page:" in run(config, "--html", page)
    assert "Plotly.newPlot" in page.read_text(encoding="utf-8")


def test_an_identifier_is_fetched(config, monkeypatch):
    monkeypatch.setattr(rope_config, "fetch", lambda identifier: config)
    assert as_json("some/model")["model"] == "some/model"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give all four"),
        (["--theta", "10000"], "give all four"),
        (["nothing.json"], "no model configuration at nothing.json"),
        ([*PLAIN, "--epsilon", "2"], "between 0 and 1"),
        ([*PLAIN, "--dtype", "fp31"], "did you mean 'fp32'"),
        ([*PLAIN, "--target-length", "0"], "above 0"),
        ([*PLAIN[:6], "--context", "-4"], "tokens are no model's"),
    ],
)
def test_bad_input_is_answered_in_one_sentence(arguments, words):
    result = runner.invoke(app, ["rope-audit", *arguments], catch_exceptions=False)
    assert result.exit_code == 2
    assert words in result.stderr


def program(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "formarium.cli.main", "rope-audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_program_ends_with_status_2_and_one_line_on_bad_input(tmp_path):
    broken = tmp_path / "config.json"
    broken.write_text("{")
    for argument in (broken, tmp_path / "absent"):
        result = program(argument)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


def test_help_says_what_it_is_with_an_example_and_imports_nothing_heavy():
    result = program("--help")
    assert result.returncode == 0
    assert "formarium rope-audit Qwen/Qwen3-8B" in result.stdout
    code = (
        "import sys; from typer.testing import CliRunner; from formarium.cli.main import app; "
        "CliRunner().invoke(app, ['rope-audit', '--help']); "
        "print([name for name in ('torch', 'numpy', 'plotly', 'jinja2') if name in sys.modules])"
    )
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert heavy.stdout.strip() == "[]", heavy.stderr
