"""Pictures from every place they can lie, and what is said of those that cannot be used."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from formarium.config import ConfigError
from formarium.errors import DataError
from formarium.tasks.images.cifar import restricted_unpickle
from formarium.tasks.images.pictures import Files, Pictures, held_out, shorter_at
from formarium.tasks.images.sources import open_source
from formarium.tasks.images.textures import _PHOTOGRAPHS, SIDE, _grey, _ranked


def everything(pictures: Pictures, side: int | None = None) -> list[torch.Tensor]:
    return pictures.reading(np.arange(len(pictures)), side)()


def picture(path: Path, colour: tuple[int, ...] | int, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split, count in (("train", 3), ("val", 2)):
        for number in range(count):
            picture(tmp_path / split / "cat" / f"{number}.png", (10 * number, 0, 0))
            picture(tmp_path / split / "dog" / "more" / f"{number}.JPEG", (0, 0, 200), (40, 30))
    (tmp_path / "train" / ".cache").mkdir()
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no picture")
    picture(tmp_path / "train" / "cat" / ".hidden.png", 0, mode="L")
    return tmp_path


def test_a_folder_for_each_class(folder: Path) -> None:
    source = open_source(str(folder))
    assert source.classes == ("cat", "dog")
    assert {split: pictures.labels.tolist() for split, pictures in source.splits.items()} == {
        "train": [0, 0, 0, 1, 1, 1],
        "validation": [0, 0, 1, 1],
    }
    images = everything(source.splits["train"], side=8)
    assert [tuple(image.shape) for image in images] == [(3, 8, 12)] * 3 + [(3, 8, 11)] * 3
    assert [int(image[0, 0, 0]) for image in images[:3]] == [0, 10, 20]
    assert int(images[3][2].float().mean()) in range(195, 206)
    assert tuple(everything(source.splits["train"])[0].shape) == (3, 4, 6)


def test_without_splits_all_is_for_training(folder: Path) -> None:
    source = open_source(str(folder / "train"))
    assert list(source.splits) == ["train"]
    assert len(source.splits["train"]) == 6


def test_folders_that_are_not_laid_out_so_are_told_how(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    picture(folder / "val" / "cow" / "0.png", 0)
    with pytest.raises(DataError, match="cow is of a class that the training split does not have"):
        open_source(str(folder))
    flat = tmp_path_factory.mktemp("flat")
    picture(flat / "0.png", 0)
    with pytest.raises(DataError, match=r"pictures of 0 classes; .* as train/cat/1.jpg"):
        open_source(str(flat))
    only = tmp_path_factory.mktemp("only")
    picture(only / "val" / "cat" / "0.png", 0)
    with pytest.raises(DataError, match="has val, but no folder 'train'"):
        open_source(str(only))
    (folder / "val" / "cow" / "0.png").unlink()
    (folder / "test").mkdir()
    with pytest.raises(DataError, match="test has no pictures in folders of classes"):
        open_source(str(folder))


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_damaged_pictures_are_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "broken.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes({"text": b"not a picture", "truncated": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.raises(DataError, match=r"broken.png is not a readable image"):
        everything(Files([path], np.zeros(1)))


def test_transparent_turned_palette_and_sixteen_bit_pictures(tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (3, 3), (255, 255, 255, 0)).save(clear)
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.new("RGB", (40, 20), (200, 0, 0)).save(turned, exif=exif)
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((2, 2), 0x8080, dtype=np.uint16)).save(deep)
    palette = tmp_path / "palette.gif"
    Image.new("P", (2, 2), 1).save(palette)
    images = everything(Files([clear, turned, deep, palette], np.zeros(4)))
    assert images[0].max() == 0
    assert tuple(images[1].shape) == (3, 40, 20)
    assert images[2].unique().tolist() == [0x80]
    assert tuple(images[3].shape) == (3, 2, 2)
    assert tuple(everything(Files([clear], np.zeros(1), channels=1))[0].shape) == (1, 3, 3)


def test_the_shorter_side_decides() -> None:
    assert shorter_at(8, 4, 6) == (8, 12)
    assert shorter_at(8, 600, 4) == (1200, 8)
    assert shorter_at(7, 10, 11) == (7, 8)
    assert shorter_at(3, 5, 5) == (3, 3)


def test_shares_of_each_class_are_held_out_always_the_same() -> None:
    labels = np.repeat([0, 1, 2], [50, 7, 2])
    held = held_out(labels, 0.1)
    assert np.bincount(labels[held]).tolist() == [5, 1, 1]
    assert np.array_equal(held, held_out(labels, 0.1))
    assert len(held_out(np.array([0]), 0.5)) == 0  # the only one of its class is trained on


def cifar(folder: Path, name: str) -> dict[str, dict[bytes, object]]:
    """A small data set in the form of CIFAR-10's or CIFAR-100's, as Python 2 left it: all texts are bytes."""
    random = np.random.default_rng(0)

    def batch(count: int) -> dict[bytes, object]:
        made: dict[bytes, object] = {b"data": random.integers(0, 256, (count, 3072), dtype=np.uint8)}
        keys = {b"labels": 10} if name == "cifar10" else {b"fine_labels": 100, b"coarse_labels": 20}
        return made | {key: random.integers(0, most, count).tolist() for key, most in keys.items()}

    if name == "cifar10":
        files = {f"data_batch_{n}": batch(4) for n in range(1, 6)} | {"test_batch": batch(3)}
        files["batches.meta"] = {b"label_names": [f"class {n}".encode() for n in range(10)]}
        root = folder / "cifar-10-batches-py"
    else:
        files = {"train": batch(6), "test": batch(3)}
        files["meta"] = {
            b"fine_label_names": [f"fine {n}".encode() for n in range(100)],
            b"coarse_label_names": [f"coarse {n}".encode() for n in range(20)],
        }
        root = folder / "cifar-100-python"
    root.mkdir(parents=True)
    for file, content in files.items():
        (root / file).write_bytes(pickle.dumps(content, protocol=2))
    return files


@pytest.mark.parametrize("packed", [True, False])
def test_cifar_from_its_archive_or_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    for name, long in (("cifar10", "cifar-10"), ("cifar100", "cifar-100")):
        made = cifar(tmp_path / "images", name)
        unpacked = next(p for p in (tmp_path / "images").iterdir() if p.is_dir() and p.name.startswith(f"{long}-"))
        if packed:
            with tarfile.open(tmp_path / "images" / f"{long}-python.tar.gz", "w:gz") as tar:
                tar.add(unpacked, unpacked.name)
            unpacked.rename(tmp_path / unpacked.name)
        if name == "cifar10":
            source = open_source(name)
            assert source.classes[3] == "class 3"
            assert (len(source.splits["train"]), len(source.splits["test"])) == (20, 3)
            assert source.splits["train"].labels[:4].tolist() == made["data_batch_1"][b"labels"]
            want = made["data_batch_2"][b"data"][1].reshape(3, 32, 32)
            assert np.array_equal(everything(source.splits["train"])[5], want)
        else:
            assert open_source(name).splits["test"].labels.tolist() == made["test"][b"fine_labels"]
            coarse = open_source(name, "coarse")
            assert coarse.splits["train"].labels.tolist() == made["train"][b"coarse_labels"]
            assert len(coarse.classes) == 20
            with pytest.raises(DataError, match="fine and coarse labels, not 'middle'"):
                open_source(name, "middle")


def test_incomplete_and_damaged_archives_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path))
    cifar(tmp_path / "images", "cifar10")
    folder = tmp_path / "images" / "cifar-10-batches-py"
    (folder / "test_batch").unlink()
    with pytest.raises(DataError, match="test_batch cannot be read"):
        open_source("cifar10")
    (folder / "test_batch").write_bytes(pickle.dumps({b"data": [1, 2, 3]}, protocol=2))
    with pytest.raises(DataError, match="do not hold what those of CIFAR hold"):
        open_source("cifar10")
    archive = tmp_path / "images" / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("cifar-10-batches-py/other"), io.BytesIO())
    with pytest.raises(DataError, match="has no cifar-10-batches-py/data_batch_1"):
        open_source("cifar10")
    archive.write_bytes(b"no archive")
    with pytest.raises(DataError, match="damaged or truncated"):
        open_source("cifar10")


class _Call:
    """Pickles to a call of a function of the attacker's choice."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_run_nothing(tmp_path: Path, protocol: int) -> None:
    import os

    made = tmp_path / "made"
    for call in (_Call(os.mkdir, str(made)), _Call(eval, "1"), _Call(np.load, "x"), _Call(np.memmap, "x"), _Call(list)):
        with pytest.raises(DataError, match="no plain pickle of arrays: it names"):
            restricted_unpickle(pickle.dumps({b"data": call}, protocol=protocol), "it")
    assert not made.exists()
    if protocol < 5:  # the newest keeps arrays in another way, with which none of the archives were made
        array = np.arange(6, dtype=np.uint8).reshape(2, 3)
        assert np.array_equal(restricted_unpickle(pickle.dumps(array, protocol=protocol), "it"), array)
    with pytest.raises(DataError, match="no plain pickle"):
        restricted_unpickle(b"\x80\x02garbage", "it")


def test_pickles_of_python_2_are_read() -> None:
    """As the published archives have them: texts are bytes, and the functions of numpy lie where they once lay."""
    kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + 2 * b"J\xff\xff\xff\xff" + b"K\x00tb"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02K\x03\x86"
        + kind
        + b"\x89T\x06\x00\x00\x00\x01\x02\x03\x04\x05\xfftb"
    )
    found = restricted_unpickle(b"\x80\x02}(U\x04data" + array + b"U\x06labels](K\x03K\x07eu.", "it")
    assert found[b"labels"] == [3, 7]
    assert found[b"data"].tolist() == [[1, 2, 3], [4, 5, 255]]
    assert found[b"data"].dtype == np.uint8


def test_subclasses_of_arrays_are_refused() -> None:
    with pytest.raises(DataError, match="no plain pickle"):
        restricted_unpickle(pickle.dumps(np.ma.masked_array([1, 2]), protocol=2), "it")


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    datasets = pytest.importorskip("datasets")
    names = datasets.ClassLabel(names=["left", "right"])
    features = datasets.Features({"picture": datasets.Image(), "side": names, "kind": datasets.Value("string")})

    def table(labels: list[int], words: list[str]) -> object:
        images = [Image.new("RGB", (8, 6), (20 * number, 0, 0)) for number in range(len(labels))]
        return datasets.Dataset.from_dict({"picture": images, "side": labels, "kind": words}, features=features)

    splits = {"train": table([0, 1, 1], ["b", "a", "b"]), "test": table([1, 0], ["a", "c"])}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "set")
    return tmp_path / "set"


def test_a_data_set_of_the_hub(hub: Path) -> None:
    source = open_source(f"hf:{hub}")
    assert source.classes == ("left", "right")
    assert source.splits["train"].labels.tolist() == [0, 1, 1]
    assert source.splits["test"].labels.tolist() == [1, 0]
    images = everything(source.splits["train"].part(np.array([2, 1])), side=3)
    assert [int(image[0, 0, 0]) for image in images] == [40, 20]
    assert tuple(images[0].shape) == (3, 3, 4)


def test_labels_of_the_hub_may_be_words_of_a_column(hub: Path) -> None:
    source = open_source(f"hf:{hub}", "kind")
    assert source.classes == ("a", "b")
    assert source.splits["train"].labels.tolist() == [1, 0, 1]
    assert "test" not in source.splits  # one of its rows is of no class that training knows
    with pytest.raises(DataError, match="no column 'sid'; did you mean 'side'"):
        open_source(f"hf:{hub}", "sid")


def test_sets_of_the_hub_without_images_or_classes_are_named(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["a"], "label": [0]}).save_to_disk(tmp_path / "words")
    with pytest.raises(DataError, match="no column of images; its columns are text, label"):
        open_source(f"hf:{tmp_path / 'words'}")
    features = datasets.Features({"image": datasets.Image()})
    blank = {"image": [Image.new("RGB", (2, 2))]}
    datasets.Dataset.from_dict(blank, features=features).save_to_disk(tmp_path / "bare")
    with pytest.raises(DataError, match="no column of classes"):
        open_source(f"hf:{tmp_path / 'bare'}")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="cannot be loaded"):
        open_source(f"hf:{tmp_path / 'none'}")


def test_digits() -> None:
    source = open_source("digits")
    assert len(source.splits["train"]) == 1797
    images = everything(source.splits["train"])
    assert tuple(images[0].shape) == (1, 8, 8)
    assert max(int(image.max()) for image in images) == 255


def test_textures_share_no_pixel_between_splits() -> None:
    source = open_source("textures")
    counts = {split: np.bincount(pictures.labels).tolist() for split, pictures in source.splits.items()}
    assert counts == {"train": [400] * 12, "validation": [60] * 12, "test": [60] * 12}
    assert source.splits["train"].images.shape == (4800, 1, SIDE, SIDE)
    # Each patch is found in its photograph, in the part of its own split.
    ranks = _ranked(_grey(_PHOTOGRAPHS[source.classes[3]]()))
    rows = np.lib.stride_tricks.sliding_window_view(ranks, SIDE, axis=1)
    edges = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}
    for split, (first, last) in edges.items():
        pictures = source.splits[split]
        patch = pictures.images[pictures.labels == 3][-1, 0].numpy()
        begins = np.argwhere((rows == patch[0]).all(-1))
        found = [c for r, c in begins if np.array_equal(ranks[r : r + SIDE, c : c + SIDE], patch)]
        assert len(found) == 1
        assert round(first * ranks.shape[1]) <= found[0] <= round(last * ranks.shape[1]) - SIDE


def test_unknown_data_are_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match="did you mean 'digits'"):
        open_source("digit")
    with pytest.raises(DataError, match="no such folder"):
        open_source("/nowhere/at/all")
    with pytest.raises(DataError, match="no pictures"):
        open_source("")


def test_a_label_is_chosen_only_where_there_are_several() -> None:
    with pytest.raises(ConfigError, match="'digits' has one"):
        open_source("digits", "fine")
