"""``formarium evaluate``: what a trained model measures, on its own text and on other text."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from formarium.models import Decoder, load
from formarium.tasks import Language

Run = Callable


def test_a_model_is_measured_on_its_own_task(run: Run, trained: Path) -> None:
    done = run("evaluate", trained)
    assert (done.status, done.err) == (0, "")
    lines = dict(line.split(": ") for line in done.out.splitlines())
    assert list(lines) == list(Language.metrics)
    kept = json.loads((trained / "result.json").read_text())["metrics"]["loss"]
    assert float(lines["loss"]) == pytest.approx(kept, rel=1e-4)
    assert lines["loss_by_position"] == "16 values (see --json)"


def test_scripts_get_numbers(run: Run, trained: Path) -> None:
    done = run("evaluate", trained, "--json", "--metric", "loss", "--metric", "loss@2x", "--metric", "loss_by_position")
    assert (done.status, done.err) == (0, "")
    found = json.loads(done.out)
    assert list(found) == ["loss", "loss@2x", "loss_by_position"]
    assert len(found["loss_by_position"]) == 16
    assert sum(found["loss_by_position"]) / 16 == pytest.approx(found["loss"], rel=1e-4)


def test_other_splits_settings_and_texts(run: Run, trained: Path, tmp_path: Path) -> None:
    def loss(*arguments: object) -> float:
        done = run("evaluate", trained, "--json", "--metric", "loss", *arguments)
        assert done.status == 0, done.err
        return float(json.loads(done.out)["loss"])

    own = loss()
    assert loss("--split", "train") != own
    assert loss("--set", "evaluation_tokens=16") != own
    (tmp_path / "other.txt").write_text("Etwas ganz anderes, in anderer Sprache und mit anderen Worten. " * 40)
    other = tmp_path / "other.txt"
    assert loss("-s", f"corpus={other}") == loss(
        "--task", f"Language(corpus={other}, context=16)", "-s", "validation=0.1"
    )
    assert loss("-s", f"corpus={other}") > own


def test_other_texts_are_read_in_the_subwords_of_the_model(run: Run, tmp_path: Path) -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    own = "".join(f"{a} {b} {c}. " for a in words for b in words for c in words)
    (tmp_path / "own.txt").write_text(own)
    (tmp_path / "same.txt").write_text(own)
    german = "Etwas ganz anderes, in anderer Sprache und mit anderen Worten. " * 40
    (tmp_path / "other.txt").write_text(german + own[:5000])
    settings = [f"task.corpus={tmp_path / 'own.txt'}", "task.tokenizer=bpe:300", "task.context=16", "batch_size=4"]
    settings += ["model.width=16", "model.depth=1", "model.heads=1", "steps=60", "task.validation=0.3"]
    model = tmp_path / "model"
    given = [part for setting in settings for part in ("-s", setting)]
    assert run("train", "language", "--out", model, *given, "-s", "task.evaluation_tokens=2000").status == 0

    def measured(*arguments: object) -> dict[str, float]:
        done = run("evaluate", model, "--json", "--metric", "loss", "--metric", "bits_per_byte", *arguments)
        assert done.status == 0, done.err
        return dict(json.loads(done.out))

    task = "Language(context=16, validation=0.3, evaluation_tokens=2000, corpus={})".format
    assert measured("-s", f"corpus={tmp_path / 'same.txt'}") == measured()
    assert measured("--task", task(tmp_path / "same.txt")) == measured()
    other: Language = Language.Config(
        str(tmp_path / "other.txt"), str(model), context=16, validation=0.3, evaluation_tokens=2000
    ).build()
    expected = other.evaluate(load(model), "validation", ("loss", "bits_per_byte"))
    found = measured("-s", f"corpus={tmp_path / 'other.txt'}")
    assert found == pytest.approx(expected, rel=1e-5)  # six digits are printed
    anew: Language = Language.Config(
        str(tmp_path / "other.txt"), "bpe:300", context=16, validation=0.3, evaluation_tokens=2000
    ).build()
    assert list(anew.tokenizer.encode("twelve")) != list(other.tokenizer.encode("twelve"))  # what it guards against


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "los"], "error: Language measures no 'los'; did you mean 'loss'?"),
        (["--metric", "loss@0"], "error: '0' is no context: write a number of tokens, as @512, or a multiple, as @2x"),
        (["--metric", "loss@999x"], "too few for a context of 15984"),
        (["--split", "validaton"], "error: there is no split 'validaton'; did you mean 'validation'?"),
        (["--split", "test"], "has no test split; it has train, validation"),
        (["--task", "Langage"], "error: nothing is called 'Langage'; did you mean 'Language'?"),
        (["--task", "RoPE"], "error: 'RoPE' is not a task, as language is"),
        (["-s", "contxt=3"], "error: Language has no setting 'contxt'; did you mean 'context'?"),
        (
            ["-s", "tokenizer=bpe:300"],
            "makes 300 different tokens, but the model knows 257; give the task the tokenizer",
        ),
        (["-s", "corpus=nowhere/"], "error: no text at 'nowhere/'"),
        (["--task", "links"], "which a Decoder is not"),
        (["--task", "graphs"], "which a Decoder is not"),
    ],
)
def test_what_cannot_be_measured(
    refused: Callable[..., str], trained: Path, arguments: list[str], message: str
) -> None:
    assert message in refused("evaluate", trained, *arguments)


def test_folders_without_a_model_or_a_task(refused: Callable[..., str], trained: Path, tmp_path: Path) -> None:
    said = refused("evaluate", tmp_path)
    assert said == f"error: there is no model at {tmp_path}: it has no config.json"
    Decoder.Config(vocabulary=257, width=8, depth=1, heads=1).build().save_pretrained(tmp_path)
    assert "there is no description of a run (name the task with --task) at" in refused("evaluate", tmp_path)
    shutil.copy(trained / "run.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:100])
    assert "are damaged or truncated" in refused("evaluate", tmp_path)
    assert "it has no config.json" in refused("evaluate", trained / "config.json")


def test_a_saved_model_needs_only_the_name_of_a_task(run: Run, trained: Path, corpus: Path, tmp_path: Path) -> None:
    load(trained).save_pretrained(tmp_path)
    task = f"Language(corpus='{corpus}', context=16, validation=0.1, evaluation_tokens=320)"
    done = run("evaluate", tmp_path, "--task", task, "--metric", "loss")
    assert done.out == run("evaluate", trained, "--metric", "loss").out


def test_relative_paths_of_the_training_are_read_from_where_it_ran(
    run: Run, refused: Callable[..., str], corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    shutil.copy(corpus, tmp_path / "here" / "text.txt")
    monkeypatch.chdir(tmp_path / "here")
    settings = ["task.corpus=text.txt", "task.context=16", "task.evaluation_tokens=320", "steps=2", "batch_size=2"]
    settings += ["model.width=8", "model.depth=1", "model.heads=1", "task.validation=0.1"]
    given = [part for setting in settings for part in ("-s", setting)]
    assert run("train", "language", "--out", "model", *given).status == 0
    here = run("evaluate", "model", "--metric", "loss")
    assert here.status == 0
    monkeypatch.chdir(tmp_path / "there")
    assert run("evaluate", "../here/model", "--metric", "loss").out == here.out
    (tmp_path / "there" / "other.txt").write_text(
        "Something else, as it lies in the present folder, and long enough. " * 40
    )
    other = run("evaluate", "../here/model", "--metric", "loss", "-s", "corpus=other.txt")
    assert other.status == 0, other.err
    assert other.out != here.out
    assert "no text at 'nowhere.txt'" in refused("evaluate", "../here/model", "-s", "corpus=nowhere.txt")


def test_functions_of_the_present_folder_are_data(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", list(sys.path))
    lines = ["import networkx as nx", "def make():", "    graphs = [nx.cycle_graph(3 + i % 9) for i in range(60)]"]
    lines += ["    for graph in graphs:", "        graph.graph['label'] = len(graph) % 2", "    return graphs"]
    (tmp_path / "rings_of_a_test.py").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    small = ["model.width=8", "model.depth=1", "model.heads=2", "steps=2", "batch_size=4"]
    given = [part for setting in ["task.data=rings_of_a_test:make", *small] for part in ("-s", setting)]
    done = run("train", "graphs", "--out", "model", *given)
    assert done.status == 0, done.err
    here = run("evaluate", "model", "--metric", "accuracy")
    monkeypatch.chdir("/")
    assert run("evaluate", tmp_path / "model", "--metric", "accuracy").out == here.out != ""
