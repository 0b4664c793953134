"""Files that are there whole or not at all."""

import contextlib
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formarium.errors import CheckpointError, DataError, Diverged, FormariumError
from formarium.files import cache_folder, check_folder, data_folder, read_json, replacing, write_json, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("before", [None, "old"])
def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "file"
    if before is not None:
        file.write_text(before)
    with contextlib.suppress(KeyError), replacing(file) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert names(tmp_path) == ([] if before is None else ["file"])
    assert before is None or file.read_text() == before


def test_a_file_appears_when_all_is_written(tmp_path: Path) -> None:
    file = tmp_path / "below" / "file"
    with replacing(file) as temporary:
        temporary.write_text("new")
        assert not file.exists()
        assert temporary.parent == file.parent
    assert file.read_text() == "new"
    with replacing(file) as temporary:
        temporary.write_text("newer")
        assert file.read_text() == "new"
    assert file.read_text() == "newer"
    assert names(file.parent) == ["file"]


def test_a_folder_replaces_a_folder_whole(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    with contextlib.suppress(KeyError), replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise KeyError
    assert names(folder) == ["old"]
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert names(folder) == ["new"]
    assert names(tmp_path) == ["folder"]


def test_writing_nothing_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with replacing(tmp_path / "file"):
        pass
    assert (tmp_path / "file").read_text() == "old"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FormariumError, match=r"cannot write .*file/below: .*; nothing was changed there"):
        write_text(tmp_path / "file" / "below", "text")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    with pytest.raises(FormariumError, match="cannot write"):
        write_text(tmp_path / "folder", "text")
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["inner"]


def test_a_folder_is_asked_for_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/below", "file/below/again"):
        with pytest.raises(FormariumError, match="file is a file; name another folder"):
            check_folder(tmp_path / place)
    check_folder(tmp_path / "new" / "inner")
    assert names(tmp_path) == ["file"]


def _small_files_only() -> None:
    """As on a full disk: no file grows beyond 4 KiB, and writing more is an error instead of a signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    program = (
        "import sys, pathlib, formarium.files as files\n"
        "try: files.write_text(pathlib.Path(sys.argv[1]), 'x' * 10000)\n"
        "except files.FormariumError as error: print(error)\n"
    )
    file.write_text("old")
    command = [sys.executable, "-c", program, str(file)]
    done = subprocess.run(command, preexec_fn=_small_files_only, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"cannot write {file}: File too large; nothing was changed there"
    assert file.read_text() == "old"
    assert names(tmp_path) == ["file"]


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_data)
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    file = tmp_path_factory.getbasetemp() / "data.json"
    if "\\ud" in json.dumps(data):  # a lone surrogate is no text, and no file can hold it
        return
    write_json(file, data)
    assert read_json(file, "thing") == data
    assert file.read_text(encoding="utf-8").endswith("\n")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": }', b"[1] x"])
def test_broken_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=r"the thing at .*file cannot be read: "):
        read_json(tmp_path / "file", "thing")
    with pytest.raises(DataError, match=r"the thing at .* cannot be read: "):
        read_json(tmp_path, "thing")


def test_absent_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no thing at .*nowhere"):
        read_json(tmp_path / "nowhere", "thing")


def test_where_things_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORMARIUM_CACHE", str(tmp_path))
    assert cache_folder("tokens", "x") == tmp_path / "tokens" / "x"
    monkeypatch.delenv("FORMARIUM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "formarium"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("x") == tmp_path / "home" / ".cache" / "formarium" / "x"
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path / "data"))
    assert data_folder() == tmp_path / "data"
    monkeypatch.delenv("FORMARIUM_DATA")
    assert data_folder() is None


def test_errors_for_people_travel_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(Diverged("training diverged: here", 7)))
    assert (str(error), error.step) == ("training diverged: here", 7)
    for kind in (DataError, CheckpointError, FormariumError):
        assert str(pickle.loads(pickle.dumps(kind("why")))) == "why"
