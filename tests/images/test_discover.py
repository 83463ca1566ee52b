"""Which files of a folder are images, in which order, and what is said of the others."""

import os
import tempfile
from pathlib import Path

import pytest

from embedlab_core.errors import ImagesDirError
from embedlab_core.images.discover import ImageFile, Skip, discover, merged, shown_path
from embedlab_core.images.formats import IMAGE_SUFFIXES
from embedlab_core.index.manifest import is_index
from tests.support import as_ordinary_user, make_index, random_units


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
    assert discover(tmp_path).other == {".txt": 1, "": 1, ".bak": 1, ".json": 1}
    assert discover(tmp_path).left_out == {"hidden": 2}
    assert discover(tmp_path, recursive=False).other == {".txt": 1, "": 1, ".bak": 1}


def test_kinds_are_counted_in_any_case(tmp_path: Path) -> None:
    put(tmp_path, "a.MOV", "b.mov", "sub/c.Mov", "d.tar.gz")
    assert discover(tmp_path).other == {".mov": 3, ".gz": 1}


HIDDEN = [
    *("#recycle/a.png", ".Trashes/501/a.png", ".trash/a.png", ".Trash-1000/files/a.png", "$RECYCLE.BIN/S-1/a.png"),
    *("@eaDir/a.png/SYNOPHOTO_THUMB_M.jpg", "#snapshot/daily/a.png", ".thumbnails/a.png", ".git/a.png"),
    *("__MACOSX/._a.png", "lost+found/a.png", "System Volume Information/a.png", "._a.png", ".a.png"),
    *("sub/@EADIR/a.png", "sub/.a.png"),
]


def test_hidden_files_and_folders_are_left_out_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "sub/b.png", *HIDDEN)
    result = discover(tmp_path)
    assert [file.path for file in result.files] == ["a.png", "sub/b.png"]
    assert result.left_out == {"hidden": len(HIDDEN)}


def test_hidden_files_and_folders_are_taken_on_request(tmp_path: Path) -> None:
    put(tmp_path, "a.png", *HIDDEN)
    result = discover(tmp_path, hidden=True)
    assert [file.path for file in result.files] == sorted(["a.png", *HIDDEN])
    assert result.left_out == {}


@pytest.mark.parametrize("name", [".photos", "#recycle", "A.photoslibrary"])
def test_the_images_folder_itself_may_have_a_hidden_name(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"{name}/originals/a.png", f"{name}/.hidden/b.png")
    assert found(tmp_path / name) == ["originals/a.png"]


def test_of_a_photo_library_the_originals_are_taken(tmp_path: Path) -> None:
    put(tmp_path, "A.photoslibrary/originals/0/a.heic", "A.photoslibrary/resources/derivatives/a.jpg")
    assert found(tmp_path) == ["A.photoslibrary/originals/0/a.heic"]
    assert found(tmp_path / "A.photoslibrary") == ["originals/0/a.heic"]


def test_a_folder_with_a_hidden_name_and_another_one_is_listed_under_the_other(tmp_path: Path) -> None:
    put(tmp_path, "photos/a.png")
    (tmp_path / ".link").symlink_to(tmp_path / "photos")
    assert found(tmp_path) == ["photos/a.png"]


def test_what_matches_a_pattern_is_left_out_and_a_folder_that_does_is_not_entered(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "b.gif", "2019/raw/c.png", "2019/raw/d.png", "2020/raw/e.png", "raw/f.png", "2019/g.txt")
    (tmp_path / "raw" / "locked").mkdir(mode=0)
    result = discover(tmp_path, exclude=["*.gif", "*/raw", "*.txt", "/raw"])
    assert [file.path for file in result.files] == ["a.png"]
    assert result.left_out == {"excluded": 5}
    assert not result.other
    assert not result.unreadable


def test_patterns_and_names_of_either_unicode_form_match(tmp_path: Path) -> None:
    composed, decomposed = "M\u00fcller", "Mu\u0308ller"
    put(tmp_path, f"{decomposed}/a.png", f"sub/{decomposed}.png", "b.png")
    for pattern in (composed, decomposed):
        assert [file.path for file in discover(tmp_path, exclude=[pattern, f"sub/{pattern}*"]).files] == ["b.png"]


def test_a_pattern_is_for_hidden_names_too(tmp_path: Path) -> None:
    put(tmp_path, ".a/b.png", "c.png")
    assert [file.path for file in discover(tmp_path, hidden=True, exclude=[".*"]).files] == ["c.png"]


def test_what_is_excluded_needs_no_right_to_be_looked_at(tmp_path: Path) -> None:
    put(tmp_path, "a.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    result = discover(tmp_path, exclude=["loop.*", "gone.*"])
    assert result.left_out == {"excluded": 2}
    assert not result.unreadable
    assert not result.unseen


def test_indexes_are_not_looked_into(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "album/manifest.json", "album/b.png", "new/plot.png", "old/plot.png", "old/shards/x.png")
    (tmp_path / "old" / "manifest.json").write_text('{"format": 1, "models": [], "images_dir": ".", "shards": []}')
    make_index(tmp_path / "new" / "index", random_units(2, 4))
    put(tmp_path, "new/index/curves/roc.png", "new/index/report.png")
    result = discover(tmp_path, is_index=is_index)
    assert [file.path for file in result.files] == ["a.png", "album/b.png", "new/plot.png"]
    assert result.left_out == {"index": 2}
    assert [file.path for file in discover(tmp_path / "old", is_index=is_index).files] == ["plot.png", "shards/x.png"]


@pytest.mark.parametrize(
    ("time", "kept", "is_dated"),
    [
        (2**63 - 2, 2**63 - 2, True),
        (2**63 - 1, 2**63 - 1, False),
        (2**63, 2**63 - 1, False),
        (9_246_000_000 * 10**9, 2**63 - 1, False),
        (0, 0, True),
        (-1, -1, True),
    ],
)
def test_times_that_an_index_cannot_hold_are_clamped(tmp_path: Path, time: int, kept: int, is_dated: bool) -> None:
    put(tmp_path, "a.png")
    os.utime(tmp_path / "a.png", ns=(time, time))
    if (tmp_path / "a.png").stat().st_mtime_ns != time:
        pytest.skip("this file system has no such times")
    (file,) = discover(tmp_path).files
    assert (file.mtime_ns, file.is_dated) == (kept, is_dated)


@pytest.mark.parametrize("time", [-(2**63) - 1, -(2**63), -(2**63) + 1, -(2**80)])
def test_times_before_1678_are_clamped(time: int) -> None:
    """Few file systems hold them, but those of networks tell what they like."""
    fields = list(Path().stat())
    status = os.stat_result(fields[:10], {"st_mtime_ns": time})
    file = ImageFile.of("a.png", status)
    assert (file.mtime_ns, file.is_dated) == (-(2**63) + 1, False)


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
    assert result.unseen == {(0, "drive")}
    assert result.may_be_there((0, "drive"))
    assert result.may_be_there((0, "drive/sub/a.png"))
    assert not result.may_be_there((0, "drive2/a.png"))
    assert not result.may_be_there((1, "drive/a.png"))
    assert not result.may_be_there((0, "gone.png"))


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
    assert result.unseen == {(0, "listed/b.png"), (0, "listed/sub")}
    assert [skip.path for skip in result.unreadable] == ["listed/b.png", "listed/sub"]


def test_of_an_images_folder_that_cannot_be_read_everything_may_be_there() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        put(root, "a.png")
        root.chmod(0)
        with as_ordinary_user():
            result = discover(root)
        root.chmod(0o755)
    assert result.unreadable == [Skip(".", "folder cannot be read (Permission denied)")]
    assert result.may_be_there((0, "a.png"))


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


def test_what_is_in_several_folders_is_one_discovery_with_numbers(tmp_path: Path) -> None:
    put(tmp_path, "one/b.png", "one/c.mov", "two/a.png", "two/d.MOV", "two/.e.png")
    (tmp_path / "two" / "loop.png").symlink_to("loop.png")
    whole = merged([discover(tmp_path / "one"), discover(tmp_path / "two")])
    assert [file.key for file in whole.files] == [(0, "b.png"), (1, "a.png")]
    assert (whole.other, whole.left_out) == ({".mov": 2}, {"hidden": 1})
    assert [(skip.folder, skip.path) for skip in whole.unreadable] == [(1, "loop.png")]
    assert whole.unseen == {(1, "loop.png")}
    turned = whole.numbered([5, 2])
    assert [file.key for file in turned.files] == [(2, "a.png"), (5, "b.png")]
    assert (turned.other, turned.left_out, turned.unseen) == (whole.other, whole.left_out, {(2, "loop.png")})


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
