"""Which files of a folder are images, in which order, and what is said of the others."""

import os
import tempfile
from pathlib import Path

import pytest

from embedlab_core.errors import ImagesDirError
from embedlab_core.images.discover import IMAGE_SUFFIXES, Skip, discover, shown_path
from tests.support import as_ordinary_user


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def found(root: Path, recursive: bool = True) -> list[str]:
    return [file.path for file in discover(root, recursive).files]


def test_subfolders_are_searched_only_when_asked(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "a/z.jpg", "a/deep/er/y.webp")
    assert found(tmp_path) == ["a/deep/er/y.webp", "a/z.jpg", "b.png"]
    assert found(tmp_path, recursive=False) == ["b.png"]


def test_the_order_is_that_of_the_whole_path(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "a.png", "B.png", "10.png", "9.png", "a/x.png", "a-b.png", "é.png")
    assert found(tmp_path) == ["10.png", "9.png", "B.png", "a-b.png", "a.png", "a/x.png", "b.png", "é.png"]


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_a_suffix_counts_in_any_case(tmp_path: Path, suffix: str) -> None:
    put(tmp_path, f"a{suffix}", f"b{suffix.upper()}")
    assert found(tmp_path) == [f"a{suffix}", f"b{suffix.upper()}"]


def test_other_files_are_counted_and_hidden_ones_with_them(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "notes.txt", ".hidden", "noextension", ".png", "a.png.bak", "sub/x.json")
    assert found(tmp_path) == ["a.png"]
    assert discover(tmp_path).other == 6
    assert discover(tmp_path, recursive=False).other == 5


def test_hidden_images_and_folders_are_taken(tmp_path: Path) -> None:
    put(tmp_path, ".a.png", ".cache/b.png")
    assert found(tmp_path) == [".a.png", ".cache/b.png"]


def test_size_and_time_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"12345")
    os.utime(tmp_path / "a.png", ns=(1, 1_700_000_000_123_456_789))
    (file,) = discover(tmp_path).files
    assert (file.size, file.mtime_ns) == (5, 1_700_000_000_123_456_789)


def test_a_loop_of_symbolic_links_ends(tmp_path: Path) -> None:
    put(tmp_path, "a/x.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert found(tmp_path) == ["a/x.png"]


def test_a_linked_file_and_a_linked_folder_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "outside/x.png", "images/y.png")
    (tmp_path / "images" / "link.png").symlink_to(tmp_path / "outside" / "x.png")
    (tmp_path / "images" / "folder").symlink_to(tmp_path / "outside")
    assert found(tmp_path / "images") == ["folder/x.png", "link.png", "y.png"]


def test_a_folder_under_two_names_is_listed_under_the_first(tmp_path: Path) -> None:
    # The order in which a file system lists names is arbitrary: of 20 folders some come before their link, some after.
    for number in range(20):
        put(tmp_path, f"{number:02d}-b/x.png")
        (tmp_path / f"{number:02d}-a").symlink_to(tmp_path / f"{number:02d}-b")
    assert found(tmp_path) == [f"{number:02d}-a/x.png" for number in range(20)]


def test_a_broken_link_is_reported(tmp_path: Path) -> None:
    """One with another name may have stood for a folder on a drive that is away."""
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "drive").symlink_to(tmp_path / "nowhere")
    result = discover(tmp_path)
    assert result.files == []
    assert result.unreadable == [
        Skip("drive", "link to what is not there"),
        Skip("gone.png", "file cannot be read (No such file or directory)"),
    ]
    assert result.hidden == {(0, "drive")}


def test_a_folder_may_be_left_out_by_any_of_its_names(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "index/plot.png", "index/shards/x.png")
    (tmp_path / "link").symlink_to(tmp_path / "index")
    assert [file.path for file in discover(tmp_path, leave_out=tmp_path / "link").files] == ["a.png"]
    assert [file.path for file in discover(tmp_path / "index", leave_out=tmp_path / "index").files] == [
        "plot.png",
        "shards/x.png",
    ]


def test_a_folder_that_is_named_like_an_image_is_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "album.png/x.png")
    assert found(tmp_path) == ["album.png/x.png"]
    assert found(tmp_path, recursive=False) == []


def test_a_pipe_with_an_image_name_is_reported_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert discover(tmp_path).unreadable == [Skip("pipe.png", "not a regular file")]


def test_an_unreadable_folder_is_named_and_the_rest_is_listed() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        put(root, "a.png", "locked/b.png", "open/c.png")
        (root / "locked").chmod(0)
        with as_ordinary_user():
            result = discover(root)
        (root / "locked").chmod(0o755)
    assert [file.path for file in result.files] == ["a.png", "open/c.png"]
    assert result.unreadable == [Skip("locked", "folder cannot be read (Permission denied)")]


def test_files_that_cannot_be_looked_at_are_hidden_not_gone() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        put(root, "a.png", "listed/b.png", "listed/sub/c.png")
        (root / "listed").chmod(0o644)
        with as_ordinary_user():
            result = discover(root)
        (root / "listed").chmod(0o755)
    assert [file.path for file in result.files] == ["a.png"]
    assert result.hidden == {(0, "listed/b.png"), (0, "listed/sub")}
    assert [skip.path for skip in result.unreadable] == ["listed/b.png", "listed/sub"]


def test_file_names_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes only valid Unicode")
    (file,) = discover(tmp_path).files
    assert os.fsencode(file.path) == b"caf\xe9.png"


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImagesDirError, match="nowhere: no such folder"):
        discover(tmp_path / "nowhere")


def test_a_file_in_place_of_the_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    with pytest.raises(ImagesDirError, match=r"a\.png: not a folder"):
        discover(tmp_path / "a.png")


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    assert discover(tmp_path).files == []


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("./assets/images", "assets/images/017.png"),
        ("assets/images/", "assets/images/017.png"),
        (".", "017.png"),
        ("../x", "../x/017.png"),
        ("/abs//x", "/abs/x/017.png"),
    ],
)
def test_paths_are_shown_as_the_folder_was_given_without_a_leading_dot(folder: str, shown: str) -> None:
    assert shown_path(folder, "017.png") == shown
