"""The program itself: help, errors, exit statuses, and that what is light stays light."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from formarium import __version__
from formarium.cli import main as program
from formarium.errors import DataError, Diverged, FormariumError

COMMANDS = sorted(c.name or c.callback.__name__.replace("_", "-") for c in program.app.registered_commands)  # type: ignore[union-attr]


def test_help_names_every_command(run: Callable) -> None:
    done = run("--help")
    assert done.status == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", done.out), command
    assert run("-h").out == done.out
    assert {"papers", "show", "prove", "compare", "train", "evaluate", "generate", "convert", "bench", "cite"} <= set(
        COMMANDS
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(run: Callable, command: str) -> None:
    done = run(command, "--help")
    assert done.status == 0
    assert f"formarium {command}" in done.out
    assert "Example" in done.out


def test_the_version(run: Callable) -> None:
    assert run("--version") == (0, f"formarium {__version__}\n", "")


def test_shell_completion_is_offered(run: Callable) -> None:
    assert "--install-completion" in run("--help").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paper"], "No such command 'paper'"),
        (["papers", "--domin", "x"], "No such option: --domin"),
        (["show"], "Missing argument"),
        (["train", "language"], "Missing option '--out'"),
        (["train", "language", "--out", "x", "--seed", "many"], "Invalid value for '--seed'"),
        (["generate", "x", "-n", "0"], "Invalid value for '--new-tokens' / '-n'"),
    ],
)
def test_commands_that_are_none(run: Callable, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.status == 2
    assert done.out == ""
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.err).split())
    assert message in said
    assert said.startswith("Usage: formarium ")


def test_no_command_shows_the_help(run: Callable) -> None:
    done = run()
    assert done.status == 2
    assert "papers" in done.out + done.err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DataError("no data here"), 2, "error: no data here\n"),
        (FormariumError("not so"), 2, "error: not so\n"),
        (Diverged("training diverged: step 3", 3), 1, "error: training diverged: step 3\n"),
        (KeyboardInterrupt(), 130, "interrupted; what is finished is kept, and the same command goes on from there\n"),
        (ModuleNotFoundError("x", name="wandb.sdk"), 2, "pip install 'formarium[loggers]'\n"),
        (ModuleNotFoundError("x", name="pyarrow"), 2, "pip install 'formarium[language]'\n"),
        (PermissionError(13, "Permission denied", "/there"), 2, "error: [Errno 13] Permission denied: '/there'\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_become_one_paragraph_and_a_status(
    run: Callable, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr("formarium.papers.cards", fails)
    done = run("papers")
    assert (done.status, done.out) == (status, "")
    assert done.err.endswith(said)


def test_errors_of_our_own_are_not_hidden(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise ModuleNotFoundError("No module named 'formarium.nothing'", name="formarium.nothing")

    monkeypatch.setattr("formarium.papers.cards", fails)
    with pytest.raises(ModuleNotFoundError):
        run("papers")


# ----------------------------------------------------------------------------------------------- processes of their own


def _process(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "program",
    [
        "import formarium",
        "import formarium.parts, formarium.models, formarium.tasks, formarium.training",
        "sys.argv = ['formarium', 'papers']; from formarium.cli.main import main; main()",
        "sys.argv = ['formarium', 'papers', '--json', '-s', 'rotary']; from formarium.cli.main import main; main()",
        "sys.argv = ['formarium', 'show', 'carope']; from formarium.cli.main import main; main()",
        "sys.argv = ['formarium', 'cite', 'carope']; from formarium.cli.main import main; main()",
        "sys.argv = ['formarium', '--help']; from formarium.cli.main import main; main()",
    ],
)
def test_what_needs_no_torch_imports_none(program: str) -> None:
    after = (
        "finally: heavy = {'torch', 'lightning', 'transformers', 'scipy'} & set(sys.modules); assert not heavy, heavy"
    )
    done = _process("-c", f"import sys\ntry:\n    {program}\nexcept SystemExit as end: assert not end.code\n{after}")
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m formarium.cli.main papers --json | head -c 10"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode in (0, 141)
    assert done.stderr == ""
    assert len(done.stdout) == 10


def test_plain_terminals_can_show_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "TERM": "dumb"}
    for command in ("papers", "--help"):
        done = _process("-m", "formarium.cli.main", command, env=environment)
        assert done.returncode == 0, done.stderr


def test_an_error_in_a_process_of_its_own() -> None:
    done = _process("-m", "formarium.cli.main", "show", "caropee")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no paper 'caropee'; did you mean 'carope'?\n"
