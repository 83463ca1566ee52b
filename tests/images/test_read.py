"""The bytes of a file, and what stands in a file's place."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from embedlab_core.images.read import FileTooLargeError, NotRegularFileError, read_file
from tests.support import ROOT, as_ordinary_user


def read_apart(path: Path) -> str:
    """The reason why `path` is not read, by a process that is killed if it waits."""
    code = """
import sys
from pathlib import Path
from embedlab_core.images.read import NotRegularFileError, read_file
try:
    read_file(Path(sys.argv[1]))
except NotRegularFileError as error:
    print(error.strerror)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("size", [0, 1, 2**16, 2**16 + 1, 200_000])
def test_all_bytes_are_read(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "a.png").write_bytes(data)
    assert read_file(tmp_path / "a.png") == data


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    (tmp_path / "link.png").symlink_to("a.png")
    assert read_file(tmp_path / "link.png") == b"content"


def test_a_file_of_the_most_bytes_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    assert read_file(path, most=5) == b"12345"
    with pytest.raises(FileTooLargeError) as refused:
        read_file(path, most=4)
    assert refused.value.strerror == "5 bytes are too many for a picture"
    assert refused.value.filename == str(path)


def test_a_file_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "film.png").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(FileTooLargeError, match=r"3\.0 GiB are too many for a picture"):
        read_file(tmp_path / "film.png")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a file that claims to be empty")
def test_the_size_that_a_file_claims_is_not_trusted() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    assert read_file(Path("/proc/self/status")).startswith(b"Name:")
    with pytest.raises(FileTooLargeError, match="more than 10 bytes"):
        read_file(Path("/proc/self/status"), most=10)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert read_apart(tmp_path / "pipe.png") == "not a regular file"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_link_to_a_device_is_refused_at_once(tmp_path: Path, device: str) -> None:
    (tmp_path / "a.png").symlink_to(device)
    assert read_apart(tmp_path / "a.png") == "not a regular file"


def test_a_socket_is_refused() -> None:
    # Names of sockets are short, those of pytest's folders are not.
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/a.png")
        with pytest.raises(OSError, match=r"a\.png"):
            read_file(Path(folder, "a.png"))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=str(tmp_path)):
        read_file(tmp_path)


def test_no_file_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe.png")
    before = os.dup(0)
    os.close(before)
    for _ in range(3):
        read_file(tmp_path / "a.png")
        with pytest.raises(FileTooLargeError):
            read_file(tmp_path / "a.png", most=1)
        with pytest.raises(NotRegularFileError):
            read_file(tmp_path / "pipe.png")
    after = os.dup(0)
    os.close(after)
    assert after == before


def test_a_file_that_may_not_be_read_says_so() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "a.png").write_bytes(b"x")
        (folder / "a.png").chmod(0)
        with as_ordinary_user(), pytest.raises(PermissionError):
            read_file(folder / "a.png")
