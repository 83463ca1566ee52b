"""Which names are hidden, and what a pattern excludes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.images.selection import is_excluded, is_hidden, left_out_in_words


@pytest.mark.parametrize(
    "name",
    [
        *(".thumbnails", ".git", ".Trashes", ".trash", ".Trash-1000", ".a.png", "._a.png", ".DS_Store"),
        *("#recycle", "#Recycle", "@eaDir", "@EADIR", "#snapshot", "@Recycle", "~snapshot", "@Recently-Snapshot"),
        *("$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information", "found.000"),
        *("__MACOSX", "lost+found", "LOST.DIR", "Network Trash Folder", "Temporary Items", "@__thumb"),
    ],
)
def test_names_of_systems_nas_and_photo_programs_are_hidden(name: str) -> None:
    assert is_hidden(name, within="photos")


@pytest.mark.parametrize("name", ["a.png", "a.b", "recycled", "git", "thumbs", "macosx", "#1.png", "_a", "…"])
def test_other_names_are_not(name: str) -> None:
    assert not is_hidden(name, within=".hidden")


@pytest.mark.parametrize("library", ["Photos Library.photoslibrary", "iPhoto Library.photolibrary", "A.APLIBRARY"])
def test_of_a_photo_library_only_the_originals_are_shown(library: str) -> None:
    assert not is_hidden("originals", library)
    assert not is_hidden("Masters", library)
    assert all(is_hidden(name, library) for name in ("resources", "Thumbnails", "Previews", "database"))
    assert not is_hidden("resources", "originals")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        # Without a slash: the name, wherever it is.
        ("*.gif", "a.gif"),
        ("*.gif", "x/y/a.gif"),
        ("thumbs", "x/thumbs"),
        ("IMG_????.jpg", "x/IMG_0001.jpg"),
        ("[ab]*", "x/b.png"),
        ("[!ab]*", "x/c.png"),
        ("#*", "x/#1.png"),
        ("!a.png", "x/!a.png"),
        # With one: the path from the images folder on.
        ("/thumbs", "thumbs"),
        ("./thumbs", "thumbs"),
        ("2019/raw", "2019/raw"),
        ("2019/*", "2019/a.png"),
        ("*/raw", "2019/raw"),
        ("**/raw", "raw"),
        ("**/raw", "x/y/raw"),
        ("2019/**/raw", "2019/raw"),
        ("2019/**/raw", "2019/x/y/raw"),
        ("2019/**", "2019/x"),
        ("2019//raw", "2019/raw"),
        # Composed and decomposed letters.
        ("Müller*", unicodedata.normalize("NFD", "x/Müller.png")),
        (unicodedata.normalize("NFD", "Müller*"), "x/Müller.png"),
        ("M?ller*", unicodedata.normalize("NFD", "x/Müller.png")),
    ],
)
def test_a_pattern_excludes(pattern: str, path: str) -> None:
    assert is_excluded(path, False, ["nothing", pattern])


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*.gif", "a.GIF"),
        ("thumbs", "thumbs2"),
        ("thumbs", "thumbs/a.png"),
        ("x/*.gif", "x/y/a.gif"),
        ("/thumbs", "x/thumbs"),
        ("2019/raw", "x/2019/raw"),
        ("*/raw", "raw"),
        ("*/raw", "x/y/raw"),
        ("2019/?raw", "2019//raw"),
        ("2019/**", "2019"),
        ("a", "ä"),
    ],
)
def test_a_pattern_does_not_exclude(pattern: str, path: str) -> None:
    assert not is_excluded(path, False, [pattern])


@pytest.mark.parametrize("pattern", ["raw/", "/x/raw/", "x/raw/", "**/raw/"])
def test_a_slash_at_the_end_means_folders(pattern: str) -> None:
    assert is_excluded("x/raw", True, [pattern])
    assert not is_excluded("x/raw", False, [pattern])


@given(st.lists(st.text("ab[]*?!.é\udce9", min_size=1), min_size=1).map("/".join), st.text("ab*?[]!/\udce9"))
def test_no_pattern_and_no_name_is_an_error(path: str, pattern: str) -> None:
    is_excluded(path, False, [pattern])
    assert is_excluded(path, False, ["**"])


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ({"hidden": 1}, "left out: 1 hidden file or folder"),
        ({"index": 1, "excluded": 12, "hidden": 4}, "left out: 4 hidden files or folders, 12 excluded, 1 index"),
        ({"index": 2}, "left out: 2 indexes"),
    ],
)
def test_what_was_left_out_is_told(left_out: dict[str, int], words: str) -> None:
    assert left_out_in_words(left_out) == words  # type: ignore[arg-type]
