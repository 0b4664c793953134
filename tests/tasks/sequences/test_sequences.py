"""Synthetic sequences: their answers are right, their batches follow from seed and number, their metrics are true."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from formarium.config import ConfigError, parse
from formarium.models import Decoder, Encoder, Vision
from formarium.models.model import Model
from formarium.tasks import EvenTokens, NearerToken, PositionIdentification, Retrieval
from formarium.tasks.sequences.task import UNASKED, SequenceTask
from formarium.training import Training
from formarium.training.harness import fit

KINDS = [PositionIdentification, EvenTokens]


class Knows(Model):
    """Gives the right answers, shifted by ``wrong`` classes in the first ``wrong_rows`` sequences it ever sees."""

    def __init__(self, task: SequenceTask, wrong_rows: int = 0) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))
        self.task, self.left = task, wrong_rows

    def forward(self, tokens: Tensor) -> Tensor:
        answers = torch.zeros_like(tokens)
        extra = int(self.task.config.start_token)
        answers[:, extra:] = self.task.targets(tokens[:, extra:])
        wrong = min(self.left, len(tokens))
        self.left -= wrong
        answers[:wrong] = (answers[:wrong] + 1) % self.task.classes
        return torch.nn.functional.one_hot(answers, self.task.classes) * 50.0


@given(length=st.integers(2, 40), vocabulary=st.integers(2, 50), seed=st.integers(0, 99), start=st.booleans())
def test_answers_are_right(length: int, vocabulary: int, seed: int, start: bool) -> None:
    for kind in KINDS:
        task = kind(kind.Config(length=length, vocabulary=vocabulary, start_token=start))
        batch = next(task.batches(3, seed))
        tokens, targets = batch["tokens"], batch["targets"]
        assert tokens.shape == targets.shape == (3, length + start)
        if start:
            assert (tokens[:, 0] == vocabulary).all()
            assert (targets[:, 0] == UNASKED).all()
            tokens, targets = tokens[:, 1:], targets[:, 1:]
        assert 0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary
        for row, answers in zip(tokens.tolist(), targets.tolist(), strict=True):
            if kind is PositionIdentification:
                assert answers == list(range(length))
            else:
                even = [row[place - 1] for place in range(2, length + 1, 2)]
                assert answers == even + [vocabulary] * (length - len(even))


@pytest.mark.parametrize("kind", KINDS)
def test_batches_follow_from_seed_and_number(kind: type[SequenceTask]) -> None:
    task = kind()
    plain = list(islice(task.batches(4, seed=1), 6))
    later = next(task.batches(4, seed=1, start=4))
    assert later["tokens"].equal(plain[4]["tokens"])
    assert not plain[0]["tokens"].equal(plain[1]["tokens"])
    assert not plain[0]["tokens"].equal(next(task.batches(4, seed=2))["tokens"])
    shares = [next(task.batches(4, seed=1, start=1, rank=rank, world=2)) for rank in (0, 1)]
    assert [s["tokens"].tolist() for s in shares] == [plain[2]["tokens"].tolist(), plain[3]["tokens"].tolist()]


@pytest.mark.parametrize("start", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_metrics_are_what_they_are_called(kind: type[SequenceTask], start: bool) -> None:
    task = kind(kind.Config(evaluated=40, start_token=start))
    names = ("accuracy", "loss", "accuracy_by_position")
    perfect = task.evaluate(Knows(task), metrics=names)
    assert perfect["accuracy"] == 1
    assert perfect["loss"] == pytest.approx(0, abs=1e-6)
    assert perfect["accuracy_by_position"] == [1.0] * 16, "nothing is asked of the start token"
    partly = task.evaluate(Knows(task, wrong_rows=10), metrics=names)
    assert partly["accuracy"] == pytest.approx(0.75)
    assert partly["loss"] == pytest.approx(0.25 * 50)
    assert task.evaluate(Knows(task)) == {"accuracy": 1.0}
    other = task._batch("test", 40)["tokens"]
    assert not other.equal(task._batch("validation", 40)["tokens"])
    with pytest.raises(ConfigError, match="measures no 'perplexity'; it measures accuracy"):
        task.evaluate(Knows(task), metrics=["perplexity"])


def test_models_are_fitted_to_the_task() -> None:
    task = parse("PositionIdentification(length=9, vocabulary=7, start_token=True)").build()
    model = task.adapt(parse("Encoder(width=16, depth=1, heads=2, position=RelativeFactor)"))
    assert (model.vocabulary, model.outputs, model.max_length) == (8, 9, 10)
    assert model.build().position.weight.shape == (19, 2)
    assert parse("EvenTokens(vocabulary=7)").build().adapt(Encoder.Config()).outputs == 8
    assert isinstance(task.baseline().build(), Encoder)
    decoder = task.adapt(Decoder.Config())
    assert (decoder.vocabulary, decoder.max_length) == (9, 10), "its first scores are those of the classes"
    with pytest.raises(ConfigError, match="put to an Encoder or a Decoder, which a Vision is not"):
        task.adapt(Vision.Config())
    with pytest.raises(ConfigError, match="at least 2 tokens"):
        parse("EvenTokens(length=1)").build()


@pytest.mark.parametrize("kind", KINDS)
def test_training_beats_chance(kind: type[SequenceTask]) -> None:
    task = kind(kind.Config(length=4, vocabulary=5, evaluated=200))
    training = Training(steps=120, batch_size=16, learning_rate=5e-3)
    model = task.adapt(parse("Encoder(width=32, depth=2, heads=2, position=Learned)"))
    _, result = fit(model, task, training, metrics=("accuracy",), show=False)
    most_common = 0.25 if kind is PositionIdentification else 0.5 + 0.5 / 5
    accuracy = result.metrics["accuracy"]
    assert isinstance(accuracy, float)
    assert accuracy > most_common + 0.15
    assert result.unit == "sequences"


@given(half=st.integers(1, 12), values=st.integers(2, 6), seed=st.integers(0, 99), start=st.booleans())
def test_what_is_retrieved_stands_where_its_distance_says(half: int, values: int, seed: int, start: bool) -> None:
    task = Retrieval(Retrieval.Config(vocabulary=values, length=2 * half, start_token=start))
    tokens, targets = next(task.batches(5, seed)).values()
    assert int(tokens.max()) < task.symbols + start
    tokens, targets = tokens[:, start:], targets[:, start:]
    assert (targets[:, :half] == UNASKED).all()
    places = torch.arange(half, 2 * half) - task.distances(tokens)
    found = tokens.gather(1, places)
    assert torch.equal(found // values, tokens[:, half:] - half * values), "of the kind that is asked for"
    assert torch.equal(found % values, targets[:, half:])
    assert torch.equal((tokens[:, :half] // values).sort(1).values, torch.arange(half).expand(5, -1)), "each kind once"


def test_sequences_that_cannot_be_are_named() -> None:
    with pytest.raises(ConfigError, match="half of a sequence are questions"):
        Retrieval(Retrieval.Config(length=7))
    with pytest.raises(ConfigError, match="between 2 places and half the length of 10 apart, not 6"):
        NearerToken(NearerToken.Config(length=10, apart=6))
