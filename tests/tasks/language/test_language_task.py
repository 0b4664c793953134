"""The language task: batches that are a function of seed and number, and metrics that are what they are called."""

import math
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError
from formarium.errors import CheckpointError, DataError
from formarium.models import Decoder
from formarium.models.model import Model
from formarium.tasks import Language
from formarium.tasks.data import DataFile
from formarium.tasks.language import corpus as corpora
from formarium.training import Training
from formarium.training.harness import fit

TEXT = "".join(f"{number}: the quick brown fox jumps over the lazy dog. " for number in range(400))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def task(corpus: Path) -> Language:
    return language(corpus)


def language(corpus: Path, **settings: object) -> Language:
    given = {"corpus": str(corpus), "context": 16, "validation": 0.1, "evaluation_tokens": 1000, **settings}
    built: Language = Language.Config(**given).build()  # type: ignore[arg-type]
    return built


class Told(Model):
    """Gives each next token the score that a function of (tokens, its place) says; the rest zero."""

    def __init__(self, vocabulary: int, score: float = 0.0, step: int = 0) -> None:
        super().__init__()
        self.config = Decoder.Config(vocabulary=vocabulary)
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.score, self.step = score, step

    def forward(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
        scores = torch.zeros(*tokens.shape, self.config.vocabulary)  # type: ignore[attr-defined]
        favoured = (tokens + self.step)[..., None] % self.config.vocabulary  # type: ignore[attr-defined]
        return scores.scatter(-1, favoured, self.score)


# ------------------------------------------------------------------------------------------------------------- batches


def test_targets_are_the_next_tokens(task: Language) -> None:
    stream = np.asarray(task.file.splits["train"].array, dtype=np.int64)
    places = {stream[start : start + 17].tobytes() for start in range(len(stream) - 16)}
    for batch in islice(task.batches(5, seed=1), 4):
        assert batch["tokens"].shape == batch["targets"].shape == (5, 16)
        assert torch.equal(batch["tokens"][:, 1:], batch["targets"][:, :-1])
        both = torch.cat([batch["tokens"], batch["targets"][:, -1:]], dim=1)
        assert all(row.numpy().tobytes() in places for row in both)
        assert task.units(batch) == 80


@given(st.integers(0, 300), st.integers(1, 7), st.integers(0, 2**31))
def test_any_start_gives_the_tail(task: Language, start: int, size: int, seed: int) -> None:
    tail = next(task.batches(size, seed, start=start))
    whole = next(islice(task.batches(size, seed), start, None))
    assert torch.equal(tail["tokens"], whole["tokens"])
    assert torch.equal(tail["targets"], whole["targets"])


@given(st.integers(0, 50), st.integers(1, 4), st.sampled_from([2, 3]), st.integers(0, 2**31))
def test_processes_share_each_batch(task: Language, number: int, size: int, world: int, seed: int) -> None:
    whole = next(task.batches(size * world, seed, start=number))
    shares = [next(task.batches(size, seed, start=number, rank=rank, world=world)) for rank in range(world)]
    assert torch.equal(torch.cat([share["tokens"] for share in shares]), whole["tokens"])


def test_a_pass_shows_each_window_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(random.Random(0).choices("abcdefgh", k=9000)))  # no two windows are equal
    task = language(tmp_path)
    rows = [row for batch in islice(task.batches(4, 0), task.batches_per_epoch(4)) for row in batch["tokens"].tolist()]
    assert len(rows) == len({tuple(row) for row in rows}) == 4 * task.batches_per_epoch(4)
    assert len(rows) * 16 > 0.95 * len(task.file.splits["train"])


def test_separate_documents_have_numbers_of_their_own(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text(f"document {number}")
    built = language(tmp_path, separate=True, validation=0.3)
    batch = next(built.batches(4, 0))
    for tokens, segments in zip(batch["tokens"], batch["segments"], strict=True):
        changes = (segments[1:] != segments[:-1]).tolist()
        assert changes == (tokens[1:] == 256).tolist()
    assert any(bool((row == 256).any()) for row in batch["tokens"])
    model = built.baseline().override({"width": 16, "depth": 1, "heads": 2}).build().eval()
    together = language(tmp_path, validation=0.3)
    assert "segments" not in next(together.batches(4, 0))
    assert built.loss(model, batch) != together.loss(model, next(together.batches(4, 0)))
    assert built.evaluate(model)["loss"] != together.evaluate(model)["loss"]


# ------------------------------------------------------------------------------------------------------------- metrics


def test_a_uniform_model_loses_the_logarithm_of_the_vocabulary(task: Language) -> None:
    names = ["loss", "perplexity", "bits_per_byte", "accuracy", "loss_by_position", "accuracy_by_position"]
    found = task.evaluate(Told(257), metrics=names)
    assert found["loss"] == pytest.approx(math.log(257), rel=1e-6)
    assert found["perplexity"] == pytest.approx(257, rel=1e-5)
    held = task.file.splits["validation"]
    assert found["bits_per_byte"] == pytest.approx(math.log2(257) * len(held) / held.text_bytes, rel=1e-6)
    assert found["loss_by_position"] == pytest.approx([math.log(257)] * 16, rel=1e-6)
    batch = next(task.batches(3, 0))
    assert task.loss(Told(257), batch).item() == pytest.approx(math.log(257), rel=1e-6)
    assert list(task.evaluate(Told(257))) == ["loss"]


def test_bits_per_byte_count_bytes_whatever_the_tokens(corpus: Path) -> None:
    built = language(corpus, tokenizer="bpe:400")
    held = built.file.splits["validation"]
    assert held.text_bytes == language(corpus).file.splits["validation"].text_bytes
    assert len(held) < 0.6 * held.text_bytes
    loss, bits = built.evaluate(Told(400), metrics=["loss", "bits_per_byte"]).values()
    assert bits == pytest.approx(loss / math.log(2) * len(held) / held.text_bytes, rel=1e-9)  # type: ignore[operator]


def test_accuracy_is_the_share_of_right_guesses(task: Language) -> None:
    """A model that says "the same again" is right where a character is doubled."""
    tokens = np.asarray(task.file.splits["validation"].array, dtype=np.int64)
    found = task.evaluate(Told(257, score=5.0), metrics=["accuracy", "accuracy_by_position", "loss"])
    whole = min(1000, len(tokens) - 1) // 16
    right = tokens[: whole * 16] == tokens[1 : whole * 16 + 1]
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["accuracy_by_position"] == pytest.approx(right.reshape(-1, 16).mean(axis=0).tolist())
    total = math.log(256 + math.exp(5.0))
    assert found["loss"] == pytest.approx(total - 5.0 * right.mean(), rel=1e-5)


def test_other_contexts_are_measured_behind_an_at(task: Language) -> None:
    class Counting(Told):
        def forward(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
            lengths.add(tokens.shape[1])
            return super().forward(tokens)

    lengths: set[int] = set()
    names = ["loss@2x", "loss@32", "loss_by_position@0.5x", "loss"]
    found = task.evaluate(Counting(257, score=3.0), metrics=names)
    assert lengths == {8, 16, 32}
    assert list(found) == names
    assert found["loss@2x"] == found["loss@32"]
    assert isinstance(found["loss_by_position@0.5x"], list)
    assert len(found["loss_by_position@0.5x"]) == 8


def test_evaluation_reads_what_it_is_told_to(corpus: Path) -> None:
    losses = {n: language(corpus, evaluation_tokens=n).evaluate(Told(257, score=3.0))["loss"] for n in (1, 16, 64, 640)}
    assert losses[1] == losses[16]  # one window at least
    assert len(set(losses.values())) == 3


def test_evaluation_leaves_the_model_in_its_mode_and_needs_no_gradient(task: Language) -> None:
    model = task.baseline().override({"width": 16, "depth": 1, "heads": 2, "dropout": 0.5}).build()
    assert task.evaluate(model) == task.evaluate(model)
    assert model.training
    model.eval()
    task.evaluate(model)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


def test_chunks_do_not_change_what_is_measured(task: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    model = task.baseline().override({"width": 16, "depth": 1, "heads": 2}).build()
    at_once = task.evaluate(model, metrics=["loss", "accuracy"])
    monkeypatch.setattr("formarium.tasks.language.task._LARGE", 3 * 16 * 512)
    in_pieces = task.evaluate(model, metrics=["loss", "accuracy"])
    assert in_pieces == pytest.approx(at_once)


def test_the_z_loss_is_added_with_its_weight(corpus: Path, task: Language) -> None:
    batch = next(task.batches(3, 0))
    plain, more = (language(corpus, z_loss=z).loss(Told(257, score=2.0), batch) for z in (0.0, 0.25))
    z = math.log(256 + math.exp(2.0))
    assert (more - plain).item() == pytest.approx(0.25 * z * z, rel=1e-5)


def test_the_training_split_can_be_measured(task: Language) -> None:
    train, held = (task.evaluate(Told(257, score=3.0), split)["loss"] for split in ("train", "validation"))
    assert train != held


# --------------------------------------------------------------------------------------------------------------- files


def test_a_changed_text_or_tokenizer_makes_another_token_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    first = language(tmp_path).file
    assert language(tmp_path).file.folder == first.folder
    assert language(tmp_path, context=32, z_loss=0.1).file.folder == first.folder
    assert language(tmp_path, validation=0.2).file.folder != first.folder
    (tmp_path / "b.txt").write_text("more")
    assert language(tmp_path).file.folder != first.folder

    own = tmp_path / "own"
    language(tmp_path, tokenizer="bpe:300").tokenizer.save(own)
    bpe = language(tmp_path / "a.txt", tokenizer=str(own))
    assert bpe.tokenizer.vocabulary == 300
    language(tmp_path, tokenizer="bpe:310").tokenizer.save(own)
    again = language(tmp_path / "a.txt", tokenizer=str(own))
    assert again.tokenizer.vocabulary == 310
    assert language(tmp_path / "a.txt", tokenizer=str(own / "tokenizer.json")).tokenizer.vocabulary == 310


def test_a_run_does_not_go_on_with_another_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    task, training = language(tmp_path / "a.txt"), Training(steps=2, batch_size=2)
    config = task.adapt(Decoder.Config(width=8, depth=1, heads=1))
    for _ in range(2):
        fit(config, language(tmp_path / "a.txt"), training, folder=tmp_path / "run", show=False)
    (tmp_path / "a.txt").write_text(TEXT.replace("fox", "cat"))
    with pytest.raises(CheckpointError, match="holds another run: it learned from other data"):
        fit(config, language(tmp_path / "a.txt"), training, folder=tmp_path / "run", show=False)


def test_a_data_set_on_disk_that_changes_makes_another_token_file(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    bytes_of = []
    for number in (50, 60):
        datasets.Dataset.from_dict({"text": ["words " * number]}).save_to_disk(str(tmp_path / "set"))
        bytes_of.append(language(f"hf:{tmp_path / 'set'}").file.splits["train"].text_bytes)  # type: ignore[arg-type]
    assert bytes_of == [270, 324]


def test_named_corpora_train_on_their_training_split(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(data))
    built = language("tiny-shakespeare")  # type: ignore[arg-type]
    built.prepare()
    assert built.file.splits["train"].text_bytes == 1_003_854
    assert built.file.splits["validation"].text_bytes == 111_540
    assert built.tokenizer.decode(built.file.splits["train"].array[:15].tolist()) == "First Citizen:"


def test_wikitext_with_and_without_its_training_split_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").mkdir()
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    monkeypatch.setattr(corpora, "_WIKITEXT_TRAIN", DataFile("text/wikitext2_train.txt"))
    sizes = []
    for name in ("valid", "test", "train"):
        (tmp_path / "text" / f"wikitext2_{name}.txt").write_text(f"the {name} split " * 20)
        if name != "valid":
            corpora.wikitext_training.cache_clear()
            sizes.append(language("wikitext-2").file.splits["train"].text_bytes)  # type: ignore[arg-type]
    corpora.wikitext_training.cache_clear()
    assert sizes == [20 * len("the valid split "), 20 * len("the train split ")]


def test_what_is_saved_beside_a_model_reads_its_tokens(task: Language, tmp_path: Path) -> None:
    from formarium.tasks.language import tokenizers

    task.save(tmp_path)
    assert tokenizers.load(tmp_path).vocabulary == 257


def test_the_model_takes_over_what_the_text_decides(corpus: Path) -> None:
    built = language(corpus, tokenizer="bpe:300", context=1024)
    assert built.baseline().vocabulary == 300
    assert built.baseline().max_length == 1024
    assert language(corpus).adapt(Decoder.Config(max_length=99)).max_length == 99  # type: ignore[attr-defined]


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context": 1}, "a context of 1 tokens leaves nothing to predict; it is at least 2"),
        ({"context": -3}, "a context of -3 tokens leaves nothing to predict"),
        ({"validation": 0.0}, "the share held out for validation lies between 0 and 1, not at 0"),
        ({"validation": 1.5}, "not at 1.5"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Language.Config(**settings).build()  # type: ignore[arg-type]


def test_a_text_shorter_than_one_context(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("short")
    with pytest.raises(DataError) as caught:
        language(tmp_path, context=16, validation=0.5).prepare()
    assert str(caught.value) == (
        f"the train split of '{tmp_path}' has 3 tokens, fewer than one context of 16 and its successor; "
        "take more text or a shorter context"
    )
    (tmp_path / "a.txt").write_text("long enough " * 10)
    with pytest.raises(DataError, match=r"the validation split of .* has 7 tokens, fewer than one context of 16"):
        language(tmp_path, context=16, validation=0.05).prepare()


def test_an_exact_fit_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 32)
    built = language(tmp_path, context=16, validation=0.5)
    built.prepare()
    assert built.batches_per_epoch(8) == 1
    assert torch.equal(next(built.batches(2, 0))["tokens"][0], next(built.batches(2, 0))["tokens"][1])
    assert built.evaluate(Told(257))["loss"] == pytest.approx(math.log(257), rel=1e-6)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("los", "Language measures no 'los'; did you mean 'loss'?"),
        ("loss@x", "'x' is no context: write a number of tokens, as @512, or a multiple, as @2x"),
        ("loss@many", "'many' is no context"),
        ("loss@0", "'0' is no context"),
        ("loss@-2x", "'-2x' is no context"),
        ("loss@infx", "'infx' is no context"),
    ],
)
def test_metrics_that_are_none(task: Language, metric: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        task.evaluate(Told(257), metrics=[metric])


def test_more_context_than_there_is_text(task: Language) -> None:
    have = len(task.file.splits["validation"])
    with pytest.raises(DataError, match=f"the validation split has {have} tokens, too few for a context of 160000"):
        task.evaluate(Told(257), metrics=["loss@10000x"])


def test_a_split_that_is_not_there(task: Language) -> None:
    with pytest.raises(DataError, match=r"text\.txt' has no test split; it has train, validation"):
        task.evaluate(Told(257), "test")


def test_a_model_of_another_tokenizer(task: Language) -> None:
    with pytest.raises(ConfigError, match="the tokenizer 'bytes' makes 257 different tokens, but the model knows 256"):
        task.evaluate(Told(256))


def test_a_model_that_cannot_read_text(task: Language) -> None:
    with pytest.raises(ConfigError, match="language modelling takes a Decoder, which a Training is not"):
        task.adapt(Training())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bpe:many", "'bpe:many': behind 'bpe:' stands a number of tokens, as in bpe:4096"),
        ("bpe:", "behind 'bpe:' stands a number of tokens"),
        ("bpe:100", "at least 257 tokens"),
        ("./nowhere", r"there is no tokenizer\.json at ./nowhere"),
    ],
)
def test_tokenizers_that_are_none(corpus: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        language(corpus, tokenizer=name).prepare()
