"""Which files a list names, and what is said of the others."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.errors import ImagesDirError
from embedlab_core.images.discover import Discovery, Skip, discover
from embedlab_core.images.listed import listed, names_in
from tests.support import as_ordinary_user


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def of(root: Path, *names: str | Path, exclude: tuple[str, ...] = ()) -> Discovery:
    return listed([root], [str(name) for name in names], exclude)


def paths(found: Discovery) -> list[str]:
    return [file.path for file in found.files]


@pytest.mark.parametrize(
    "data",
    [
        b"a.png\nb c.png\n",
        b"a.png\nb c.png",
        b"a.png\r\nb c.png\r\n",
        b"\xef\xbb\xbfa.png\nb c.png\n",
        b"\n\na.png\n  \nb c.png\n\n",
        b"a.png\0b c.png\0",
        b"a.png\0b c.png",
        b"a.png\0b c.png\0\n",
        "a.png\r\nb c.png\r\n".encode("utf-16"),
        b"\xfe\xff" + "a.png\nb c.png".encode("utf-16-be"),
    ],
)
def test_every_usual_form_of_a_list_is_read(data: bytes) -> None:
    assert names_in(data) == ("a.png", "b c.png")


@pytest.mark.parametrize("data", [b"", b"\n", b"\0", b"\xef\xbb\xbf", b" \r\n"])
def test_an_empty_list_names_nothing(data: bytes) -> None:
    assert names_in(data) == ()


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)))
def test_any_name_survives_between_nul_bytes(names: list[str]) -> None:
    kept = tuple(name for name in names if name.strip())
    data = "".join(f"{name}\0" for name in names).encode()
    # What only looks like a byte order mark is one at the start of a list.
    if kept and not data.startswith(b"\xef\xbb\xbf"):
        assert names_in(data) == kept


def test_names_that_are_not_utf8_and_odd_spaces_are_kept() -> None:
    assert [os.fsencode(name) for name in names_in(b"caf\xe9.png\n a\x85b\x0b .png \n")] == [
        b"caf\xe9.png",
        b" a\x85b\x0b .png ",
    ]


def test_names_are_relative_to_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "photos/a.png", "photos/sub/b.png", "photos/c.png", "d.png")
    monkeypatch.chdir(tmp_path)
    named = ("photos/sub/b.png", "./photos//a.png", "photos/sub/../c.png", str(tmp_path / "photos" / "a.png"))
    for folder in (Path("photos"), tmp_path / "photos", Path("photos/sub/..")):
        assert paths(of(folder, *named)) == ["a.png", "c.png", "sub/b.png"]
    monkeypatch.chdir(tmp_path / "photos" / "sub")
    assert paths(of(Path(".."), "b.png", "../a.png")) == ["a.png", "sub/b.png"]


def test_a_listed_file_is_what_discover_would_find(tmp_path: Path) -> None:
    put(tmp_path, "a/x.png", "outside.png", "b.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "link.png").symlink_to(tmp_path / "outside.png")
    (tmp_path / "images" / "folder").symlink_to(tmp_path / "a")
    (tmp_path / "also").symlink_to(tmp_path / "images")
    expected = discover(tmp_path / "images")
    assert paths(expected) == ["folder/x.png", "link.png"]
    for images in (tmp_path / "images", tmp_path / "also"):
        for root in (tmp_path / "images", tmp_path / "also"):
            assert of(root, images / "link.png", images / "folder" / "x.png") == expected


def test_all_that_is_named_is_taken_whatever_its_name(tmp_path: Path) -> None:
    put(tmp_path, ".hidden/a", "#recycle/b.txt", "c.PNG")
    found = of(tmp_path, tmp_path / ".hidden" / "a", tmp_path / "#recycle" / "b.txt", tmp_path / "c.PNG")
    assert paths(found) == ["#recycle/b.txt", ".hidden/a", "c.PNG"]
    assert not found.other
    assert not found.left_out


@pytest.mark.parametrize(
    ("pattern", "left"),
    [("*.png", ["sub/b.jpg"]), ("sub", ["a.png"]), ("sub/", ["a.png"]), ("b.jpg/", ["a.png", "sub/b.jpg"])],
)
def test_patterns_leave_out_what_is_listed(tmp_path: Path, pattern: str, left: list[str]) -> None:
    put(tmp_path, "a.png", "sub/b.jpg")
    found = of(tmp_path, tmp_path / "a.png", tmp_path / "sub" / "b.jpg", exclude=(pattern,))
    assert paths(found) == left
    assert found.left_out["excluded"] == 2 - len(left)


def test_what_cannot_be_taken_is_named(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png", "b.png")
    root = tmp_path / "images"
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe.png")
    (root / "loop").symlink_to(root / "loop")
    named = [root / name for name in ("gone.png", "a.png/x.png", "folder", "pipe.png", "no/where.png", "loop")]
    found = of(root, *named, root / ".." / "b.png", tmp_path / "b.png")
    assert found.files == []
    assert found.unreadable == [
        Skip((tmp_path / "b.png").as_posix(), f"does not lie in {root}"),
        Skip((root / ".." / "b.png").as_posix(), f"does not lie in {root}"),
        Skip("a.png/x.png", "no such file"),
        Skip("folder", "a folder; name the files in it"),
        Skip("gone.png", "no such file"),
        Skip("loop", "cannot be looked at (Too many levels of symbolic links)"),
        Skip("no/where.png", "no such file"),
        Skip("pipe.png", "not a regular file"),
    ]
    assert found.unseen == {(0, "loop")}


def test_a_file_in_a_locked_folder_is_unseen_not_gone() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        put(root, "locked/b.png")
        (root / "locked").chmod(0)
        with as_ordinary_user():
            found = of(root, root / "locked" / "b.png")
        (root / "locked").chmod(0o755)
    assert found.unreadable == [Skip("locked/b.png", "cannot be looked at (Permission denied)")]
    assert found.may_be_there((0, "locked/b.png"))


def test_a_file_is_taken_once(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "sub/b.png")
    found = of(tmp_path, tmp_path / "a.png", tmp_path / "a.png", tmp_path / "sub" / ".." / "a.png")
    assert paths(found) == ["a.png"]


def test_of_several_folders_each_has_its_own_files(tmp_path: Path) -> None:
    put(tmp_path, "one/a.png", "two/b.png", "c.png")
    names = [str(tmp_path / name) for name in ("two/b.png", "two/gone.png", "two/loop.png", "c.png", "one/a.png")]
    (tmp_path / "two" / "loop.png").symlink_to("loop.png")
    found = listed([tmp_path / "one", tmp_path / "two"], names)
    assert [file.key for file in found.files] == [(0, "a.png"), (1, "b.png")]
    reason = f"does not lie in {tmp_path / 'one'} or {tmp_path / 'two'}"
    assert found.unreadable == [
        Skip((tmp_path / "c.png").as_posix(), reason),
        Skip("gone.png", "no such file", folder=1),
        Skip("loop.png", "cannot be looked at (Too many levels of symbolic links)", folder=1),
    ]
    assert found.unseen == {(1, "loop.png")}


def test_a_missing_images_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImagesDirError, match="nowhere: no such folder"):
        of(tmp_path / "nowhere", tmp_path / "nowhere" / "a.png")
