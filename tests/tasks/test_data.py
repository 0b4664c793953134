"""Named data: found where they lie, else fetched whole and checked, else a sentence that says where to put them."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from formarium.errors import DataError
from formarium.files import cache_folder
from formarium.tasks.data import DataFile, find, locate

CONTENT = b"to be or not to be\n" * 200


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT) + (1000 if self.path == "/cut" else 0)))
        self.end_headers()
        if self.path == "/reset":
            self.wfile.write(CONTENT[:100])
            self.wfile.flush()
            self.connection.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER 0: the close becomes a reset
            self.connection.close()
        else:
            self.wfile.write(CONTENT)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMARIUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FORMARIUM_DATA", str(tmp_path / "data"))


def left_behind() -> list[Path]:
    return [path for path in cache_folder().rglob("*") if path.is_file()]


def test_a_file_is_fetched_once_and_checked(server: str) -> None:
    file = DataFile("text/x.txt", f"{server}/good", hashlib.sha256(CONTENT).hexdigest())
    assert find(file) is None
    found = locate(file)
    assert found == cache_folder("data", "text", "x.txt")
    assert found.read_bytes() == CONTENT
    found.write_bytes(b"kept")  # a second look does not fetch again
    assert locate(file).read_bytes() == b"kept"
    assert left_behind() == [found]


def test_a_changed_file_is_refused_and_not_kept(server: str) -> None:
    file = DataFile("text/x.txt", f"{server}/good", "0" * 64)
    with pytest.raises(DataError) as caught:
        locate(file)
    assert "arrived damaged or has changed: its checksum is not the known one; put it at text/x.txt" in str(
        caught.value
    )
    assert "FORMARIUM_DATA" in str(caught.value)
    assert left_behind() == []


@pytest.mark.parametrize(
    ("page", "reason"),
    [("absent", "Not Found"), ("cut", "the connection ended after 3,800 of 4,800 bytes"), ("reset", "reset by peer")],
)
def test_what_cannot_be_fetched_says_why_and_what_to_do(server: str, page: str, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        locate(DataFile("text/x.txt", f"{server}/{page}"))
    message = str(caught.value)
    assert message.startswith(f"x.txt could not be fetched from {server}/{page} (")
    assert reason in message
    assert message.endswith("put it at text/x.txt below a folder that the environment variable FORMARIUM_DATA names")
    assert left_behind() == []


def test_nobody_answers() -> None:
    with pytest.raises(DataError, match=r"could not be fetched from http://127\.0\.0\.1:1/x \(.*[Rr]efused"):
        locate(DataFile("text/x.txt", "http://127.0.0.1:1/x"))


def test_the_data_folder_comes_first_and_may_be_compressed(tmp_path: Path) -> None:
    file = DataFile("text/x.txt")
    with pytest.raises(DataError, match=r"x\.txt is not on this machine and cannot be fetched; put it at text/x\.txt"):
        locate(file)
    for root, name in (("cache/data", "x.txt"), ("data", "x.txt.gz"), ("data", "x.txt")):
        (tmp_path / root / "text").mkdir(parents=True, exist_ok=True)
        path = tmp_path / root / "text" / name
        path.touch()
        assert locate(file) == path
