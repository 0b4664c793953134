"""``formarium generate``: text from a trained model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from formarium.models import Decoder
from formarium.models.generation import Sampling
from formarium.tasks.language import tokenizers
from formarium.tasks.language.continuing import continue_texts

Run = Callable


def test_a_text_is_continued(run: Run, trained: Path) -> None:
    done = run("generate", trained, "the quick", "-n", 12, "--temperature", 0)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("the quick")
    assert done.out.endswith("\n")
    model, tokenizer = Decoder.from_pretrained(trained), tokenizers.load(trained)
    expected = continue_texts(model, tokenizer, ["the quick"], Sampling(new_tokens=12, temperature=0.0))
    assert done.out == f"the quick{expected[0]}\n"


def test_without_a_text_it_begins_a_document(run: Run, trained: Path) -> None:
    done = run("generate", trained, "-n", 3, "--seed", 1)
    assert done.status == 0
    assert 1 < len(done.out.encode()) <= 3 * 3 + 1


def test_several_texts_and_scripts(run: Run, trained: Path) -> None:
    texts = ["the ", "über \N{PARROT}", ""]
    greedy = ["-n", 8, "--temperature", 0]
    rows = json.loads(run("generate", trained, *texts, *greedy, "--json").out)
    assert [row["prompt"] for row in rows] == texts
    alone = [run("generate", trained, text, *greedy).out for text in texts]
    assert [row["prompt"] + row["text"] + "\n" for row in rows] == alone
    assert run("generate", trained, *texts, *greedy).out == "\n----\n".join(text[:-1] for text in alone) + "\n"
    assert [row["prompt"] for row in json.loads(run("generate", trained, "a", *greedy, "--json").out)] == ["a"]


def test_a_seed_gives_the_same_text(run: Run, trained: Path) -> None:
    def text(*arguments: object) -> str:
        return str(run("generate", trained, "the", "-n", 30, *arguments).out)

    assert text("--seed", 1) == text("--seed", 1) != text("--seed", 2)
    assert text() != text()
    assert text("--seed", 1, "--top-k", 1) == text("--temperature", 0)
    assert text("--seed", 1, "--top-p", 1e-9) == text("--temperature", 0)
    assert text("--temperature", 0, "--repetition-penalty", 1e9) != text("--temperature", 0)


def test_it_ends_where_a_stop_text_appears(run: Run, trained: Path) -> None:
    whole = run("generate", trained, "the", "-n", 30, "--seed", 3).out[3:-1]
    stop = whole[10:12]
    cut = run("generate", trained, "the", "-n", 30, "--seed", 3, "--stop", "never to be found", "--stop", stop).out[
        3:-1
    ]
    assert cut == whole[: whole.index(stop)]
    assert run("generate", trained, "the", "-n", 30, "--seed", 3, "--stop", "").out[3:-1] == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top-p", "0"], "error: top_p lies above 0 and up to 1, not at 0"),
        (["--top-p", "1.5"], "error: top_p lies above 0 and up to 1, not at 1.5"),
        (["--repetition-penalty", "0"], "error: the repetition penalty is above 0, not 0"),
        (["bad \udcff byte"], "error: the text to continue is not UTF-8: character 4 cannot be read"),
    ],
)
def test_what_cannot_be_meant(refused: Callable[..., str], trained: Path, arguments: list[str], message: str) -> None:
    assert refused("generate", trained, *arguments) == message


def test_folders_without_a_language_model(refused: Callable[..., str], tmp_path: Path) -> None:
    assert refused("generate", tmp_path) == f"error: there is no model at {tmp_path}: it has no config.json"
    Decoder.Config(vocabulary=257, width=8, depth=1, heads=1).build().save_pretrained(tmp_path)
    assert refused("generate", tmp_path) == f"error: there is no tokenizer.json at {tmp_path}"
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert "holds no formarium model: its config.json has no entry 'model'" in refused("generate", tmp_path)


def test_a_tokenizer_of_another_model(refused: Callable[..., str], tmp_path: Path) -> None:
    Decoder.Config(vocabulary=100, width=8, depth=1, heads=1).build().save_pretrained(tmp_path)
    tokenizers.Bytes().save(tmp_path)
    message = refused("generate", tmp_path, "a")
    assert message == "error: the tokenizer makes 257 different tokens, but the model knows 100"


def test_more_than_a_table_of_positions_holds(refused: Callable[..., str], tmp_path: Path) -> None:
    config = Decoder.Config(vocabulary=257, width=8, depth=1, heads=1, max_length=8)
    config.override({"position": "Learned"}).build().save_pretrained(tmp_path)
    tokenizers.Bytes().save(tmp_path)
    assert "positions" in refused("generate", tmp_path, "a long text to begin with", "-n", 3)
