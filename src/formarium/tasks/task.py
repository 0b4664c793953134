"""What a task is: data, an objective, metrics and a baseline, for any model whose input and output fit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from torch import Tensor

from formarium.config import BaseConfig, ConfigError, Configurable, suggestion
from formarium.models.model import Model

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
# What else splits are called where data come with them.
CALLED: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    "test": "test",
}
Metric = float | list[float]


class Task(Configurable):
    """A kind of work on some data.

    metrics: what ``evaluate`` can measure, with the better direction of each; names may carry an argument behind "@".
    lists: those of them that are a list of numbers. usual: what is measured where none is named; all metrics if empty.
    used_by: the command that uses a trained model, where that is not ``predict``.
    headline: the one that decides where none is named. unit: what ``units`` counts, for throughput. training: settings
    of ``Training`` that its baseline learns well with, for whoever names none.
    """

    metrics: ClassVar[Mapping[str, Literal["lower", "higher"]]] = {"loss": "lower"}
    lists: ClassVar[frozenset[str]] = frozenset()
    usual: ClassVar[tuple[str, ...]] = ()
    used_by: ClassVar[str] = ""
    headline: ClassVar[str] = "loss"
    unit: ClassVar[str] = "examples"
    training: ClassVar[Mapping[str, Any]] = {}

    def prepare(self) -> None:
        """Makes the data ready, once, with progress; DataError where they cannot be used."""

    def check(self, metrics: Sequence[str]) -> None:
        """ConfigError for a name that ``evaluate`` cannot measure: to be known before anything is trained."""
        for name in metrics:
            kind = name.partition("@")[0]
            if kind not in self.metrics:
                raise ConfigError(f"{type(self).__name__} measures no {kind!r}{suggestion(kind, self.metrics)}")

    def baseline(self) -> BaseConfig:
        """The configuration of the model that others are measured against."""
        raise NotImplementedError

    def adapt(self, model: BaseConfig) -> BaseConfig:
        """The configuration with what the data decide filled in (a vocabulary, a number of classes).

        Raises ConfigError for a model that cannot do this task.
        """
        return model

    def fitted(self, model: BaseConfig, written: Iterable[str] = ()) -> BaseConfig:
        """As ``adapt``, for a model that somebody wrote: ConfigError where the data decide otherwise than was written.

        written: settings that were named, for those that are named at their default.
        """
        fitted = self.adapt(model)
        for name in (*model.changed(), *written):
            given, found = getattr(model, name), getattr(fitted, name)
            if given != found and not (given is found or given != given):  # nan is no other than itself
                raise ConfigError(f"{name} of {model.name()} follows from the task: it is {found} here, not {given}")
        return fitted

    def batches(self, batch_size: int, seed: int, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[Any]:
        """Endless training batches from number ``start`` on: a function of the seed and the number alone.

        With ``world`` processes, process ``rank`` gets its own share of each batch of batch_size * world examples.
        """
        raise NotImplementedError

    def batches_per_epoch(self, batch_size: int) -> int:
        """How many batches show each training example once."""
        raise NotImplementedError

    def units(self, batch: Any) -> int:
        """How many units (see ``unit``) a batch holds."""
        raise NotImplementedError

    def loss(self, model: Model, batch: Any) -> Tensor:
        """The training objective of one batch, a scalar."""
        raise NotImplementedError

    def evaluate(self, model: Model, split: Split = "validation", metrics: Sequence[str] = ()) -> dict[str, Metric]:
        """The named metrics (the headline where none are named) of a model in evaluation mode, on fixed data."""
        raise NotImplementedError

    def identity(self) -> str | None:
        """A digest of the data where a model means something for them alone, so that no other data go on with a run."""
        return None

    def trained(self, model: Model, folder: Path) -> None:
        """Takes over from the folder of a model what its answers mean, for ``evaluate`` on other data.

        To be called before the data are looked at.
        """

    def save(self, folder: Path) -> None:
        """Leaves beside a saved model what using it needs (a tokenizer, names)."""

    def predict(self, model: Model, folder: Path, data: str, every_class: bool = False) -> Iterator[dict[str, Any]]:
        """What a model, saved in ``folder``, answers about other data than the task's own, as rows of a table.

        data: as the task's own are written. every_class: of classes, the probability of each as well. Raises DataError
        for data that do not fit the model, ConfigError where models of this task answer in another way.
        """
        way = f"; 'formarium {self.used_by}' does" if self.used_by else ""
        raise ConfigError(f"a model of the task {type(self).__name__} does not answer by rows of a table{way}")
