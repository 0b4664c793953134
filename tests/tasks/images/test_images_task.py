"""Classification of images: what a step sees, what is measured, and that models learn."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.models.decoder import Decoder
from formarium.models.vision import Vision
from formarium.tasks.images.task import Images
from formarium.tasks.images.views import view
from formarium.training import Training, fit


def images(**settings: object) -> Images:
    return Images(Images.Config(**settings))


def some(task: Images, count: int, **where: int) -> list[dict[str, Tensor]]:
    return list(islice(task.batches(8, **({"seed": 0} | where)), count))


def test_views_cut_mirror_and_scale() -> None:
    picture = torch.arange(24, dtype=torch.uint8).view(1, 4, 6)
    middle = view([picture], 2)
    assert (middle * 127.5 + 127.5).round().flatten().tolist() == [8, 9, 14, 15]
    at = np.array([[0.0, 1.0], [1.0, 0.0]])
    corner, mirrored = ((view([picture] * 2, 2, at, np.array([False, True])) + 1) * 127.5).round().flatten(1).tolist()
    assert corner == [4, 5, 10, 11]
    assert mirrored == [13, 12, 19, 18]
    padded = view([picture], 6, np.array([[0.0, 0.0]]), pad=1)
    assert (padded[0, 0, 0] == -1).all()
    assert (padded[0, 0, :, 0] == -1).all()


def test_batches_are_a_function_of_the_seed_and_their_number() -> None:
    task = images()
    first = some(task, 5)
    assert first[0]["images"].shape == (8, 1, 8, 8)
    assert float(first[0]["images"].amin()) >= -1
    assert float(first[0]["images"].amax()) <= 1
    for resumed, want in zip(some(task, 2, start=3), first[3:], strict=True):
        assert all(torch.equal(resumed[key], want[key]) for key in want)
    assert not torch.equal(some(task, 1, seed=1)[0]["images"], first[0]["images"])


def test_processes_share_what_one_would_see_alone() -> None:
    task = images()
    shares = [next(task.batches(4, 0, start=2, rank=rank, world=2)) for rank in (0, 1)]
    alone = next(task.batches(8, 0, start=2))
    assert torch.equal(torch.cat([share["images"] for share in shares]), alone["images"])
    assert torch.equal(torch.cat([share["labels"] for share in shares]), alone["labels"])


def test_an_epoch_sees_every_image_once() -> None:
    task = images(zoom=1.0, pad=0)
    pictures = task.source.splits["train"]
    count = len(pictures)
    seen = torch.cat([batch["labels"] for batch in islice(task.batches(10, 0), -(-count // 10))])[:count]
    assert np.array_equal(np.bincount(seen), np.bincount(pictures.labels))
    batch = next(task.batches(count, 0))
    assert len(torch.unique(batch["images"].flatten(1), dim=0)) == len(np.unique(pictures.images.flatten(1), axis=0))
    assert task.batches_per_epoch(10) == count // 10
    assert task.units(batch) == count


def test_digits_are_not_mirrored_unless_asked_and_textures_are() -> None:
    plain = some(images(zoom=1.0, pad=0), 4)
    flipped = some(images(zoom=1.0, pad=0, flip=True), 4)
    both = torch.cat([b["images"] for b in plain]), torch.cat([b["images"] for b in flipped])
    same = (both[0] == both[1]).flatten(1).all(dim=1)
    mirrored = (both[0] == both[1].flip(-1)).flatten(1).all(dim=1)
    assert (same | mirrored).all()
    assert 8 <= int(mirrored.sum()) <= 24
    assert images(data="textures").source.flip


def test_splits_are_apart_and_always_the_same() -> None:
    first, second = images(validation=0.2), images(validation=0.2)
    train, held = first.source.splits["train"], first.source.splits["validation"]
    assert len(train) + len(held) == 1797
    assert abs(len(held) - 0.2 * 1797) < 10
    assert torch.equal(held.images, second.source.splits["validation"].images)
    with pytest.raises(DataError, match="no test split; it has train, validation"):
        first.evaluate(first.baseline().build(), split="test")


class _Told(Vision):
    """Knows the answer from the picture's size: tells which class has the brightest pixel in the middle."""

    def forward(self, images: Tensor, coordinates: Tensor | None = None, offset: Tensor | None = None) -> Tensor:
        self.sides = [*getattr(self, "sides", []), tuple(images.shape[2:])]
        self.was_training = self.training
        scores = torch.zeros(len(images), 10)
        scores[:, 3] = 1.0
        return scores


def test_metrics_are_those_of_the_definition_at_each_side() -> None:
    task = images()
    model = _Told(task.baseline().replace(depth=1, width=12, heads=1)).train()
    labels = task.source.splits["validation"].labels
    found = task.evaluate(model, metrics=["loss", "accuracy", "accuracy@12", "loss@2x"])
    assert found["accuracy"] == pytest.approx(float((labels == 3).mean()))
    assert found["accuracy@12"] == found["accuracy"]
    constant = torch.zeros(10)
    constant[3] = 1.0
    want = torch.nn.functional.cross_entropy(constant.expand(len(labels), -1), torch.from_numpy(labels))
    assert found["loss"] == pytest.approx(float(want), rel=1e-5)
    assert found["loss@2x"] == found["loss"]
    assert set(model.sides) == {(8, 8), (12, 12), (16, 16)}
    assert not model.was_training
    assert model.training
    assert len(task.evaluate(model)) == 1
    few = images(evaluation_images=5)
    model.sides = []
    few.evaluate(model)
    assert model.sides == [(8, 8)]


def test_a_small_model_learns_digits_and_reads_them_at_another_size() -> None:
    task = images()
    model = task.baseline().override(
        {"width": 48, "depth": 2, "heads": 2, "position": "ComRoPE", "absolute": "LearnedGrid"}
    )
    training = Training(steps=150, batch_size=32, learning_rate=2e-3, weight_decay=0.05)
    _, result = fit(model, task, training, metrics=["accuracy", "accuracy@12"], show=False)
    assert result.metrics["accuracy"] > 0.5
    assert result.metrics["accuracy@12"] > 0.25
    assert result.unit == "images"


def test_models_are_fitted_to_the_data(tmp_path) -> None:
    task = images(data="textures")
    model = task.adapt(Vision.Config(size=7, channels=3, classes=None))
    assert (model.size, model.channels, model.classes) == (32, 1, 12)
    assert images(data="textures", size=64).baseline().stem.patch == 8
    assert images(size=7).baseline().stem.patch == 1
    with pytest.raises(ConfigError, match="which a Decoder is not"):
        task.adapt(Decoder.Config())
    with pytest.raises(ConfigError, match="leave frames out"):
        task.adapt(Vision.Config(frames=8))
    with pytest.raises(ConfigError, match="have 12 classes, but the model tells 10 apart"):
        task.evaluate(Vision(Vision.Config(width=12, depth=1, heads=1)))
    task.save(tmp_path)
    assert '"tissue"' in (tmp_path / "images.json").read_text()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 0}, "at least one pixel"),
        ({"zoom": 0.9}, "from 1 to 4"),
        ({"pad": -1}, "cannot be -1"),
        ({"validation": 1.0}, "between 0 and 1"),
        ({"evaluation_images": 0}, "at least one image"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        images(**settings)


@pytest.mark.parametrize("name", ["accuracy@x", "accuracy@-3", "loss@1e400x"])
def test_sides_that_cannot_be_are_named_before_anything_is_trained(name: str) -> None:
    with pytest.raises(ConfigError, match="is no side"):
        images().check([name])
    with pytest.raises(ConfigError, match="did you mean 'accuracy'"):
        images().check(["acuracy"])


def test_what_is_kept_is_a_ratio_of_accuracies() -> None:
    task = images()
    model = task.baseline().override({"width": 16, "depth": 1, "heads": 1}).build()
    found = task.evaluate(model, metrics=["kept@2x", "kept", "accuracy", "accuracy@2x"])
    assert found["kept"] == 1
    assert found["kept@2x"] == found["accuracy@2x"] / found["accuracy"]


def test_examples_come_in_order_and_at_the_wanted_side() -> None:
    task = images(evaluation_images=10)
    batches = list(task.examples("validation", 12, batch=4))
    assert [tuple(pictures.shape) for pictures, _ in batches] == [(4, 1, 12, 12), (4, 1, 12, 12), (2, 1, 12, 12)]
    whole = next(task.examples("validation", 12))
    assert all(torch.equal(torch.cat(parts), one) for parts, one in zip(zip(*batches, strict=True), whole, strict=True))
