"""What of a folder is passed over on purpose: what systems and programs hide, and what the user excludes."""

import unicodedata
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

# Why a file or folder is not looked at: its name is a hidden one, the user excluded it, or it is an index of ours.
LeftOut = Literal["hidden", "excluded", "index"]

# Folders of deleted, recovered, derived and bookkeeping files, in lower case; those that begin with a dot are hidden
# anyway.
_HIDDEN = frozenset(
    [
        # Windows
        "$recycle.bin",
        "system volume information",
        "found.000",
        # macOS, and its archives and shares elsewhere
        "__macosx",
        "network trash folder",
        "temporary items",
        # Linux and Android
        "lost+found",
        "lost.dir",
        # Synology, QNAP, NetApp and Samba
        "#recycle",
        "#snapshot",
        "~snapshot",
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "@tmp",
        "@__thumb",
        "@sharebin",
    ]
)
# Apple's photo libraries are folders. The pictures are in one that is called as here; all others hold smaller copies,
# faces and edits of them.
_LIBRARIES = (".photoslibrary", ".photolibrary", ".migratedphotolibrary", ".aplibrary")
_ORIGINALS = frozenset(["originals", "masters"])


def left_out_in_words(left_out: Mapping[LeftOut, int]) -> str:
    """Numbers by reason -> "left out: 4 hidden files or folders, 2 excluded, 1 index"."""
    hidden, excluded, indexes = (left_out.get(reason, 0) for reason in ("hidden", "excluded", "index"))
    words = []
    if hidden:
        words.append("1 hidden file or folder" if hidden == 1 else f"{hidden} hidden files or folders")
    if excluded:
        words.append(f"{excluded} excluded")
    if indexes:
        words.append("1 index" if indexes == 1 else f"{indexes} indexes")
    return f"left out: {', '.join(words) or 'nothing'}"


def is_hidden(name: str, within: str) -> bool:
    """Whether a file or folder of this name, in a folder named `within`, is hidden."""
    if name.startswith(".") or name.lower() in _HIDDEN:
        return True
    return within.lower().endswith(_LIBRARIES) and name.lower() not in _ORIGINALS


def is_excluded(path: str, is_folder: bool, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches `path`, relative to the images folder. Folders above it are for the caller to try.

    Patterns are those of .gitignore, but that nothing is taken back by "!" and "#" is a character like others. Without
    a slash, one matches the name: `*_edited.jpg`, `thumbs`. With one, it matches the path from the images folder on:
    `2019/raw`, `/thumbs`, `*/raw`. One that ends in a slash matches folders only. `*`, `?` and `[a-z]` match no slash;
    `**` as a name of its own stands for any number of folders. Case counts; composed and decomposed letters are equal.
    """
    if not patterns:
        return False
    names = tuple(unicodedata.normalize("NFC", path).split("/"))
    parsed = map(_parsed, patterns)
    return any((is_folder or not only_folders) and _match(wanted, names) for wanted, only_folders in parsed)


@lru_cache
def _parsed(pattern: str) -> tuple[tuple[str, ...], bool]:
    """The names of a pattern, from the images folder on, and whether only folders are meant."""
    text = unicodedata.normalize("NFC", pattern)
    names = tuple(name for name in text.split("/") if name not in ("", "."))
    anywhere = "/" not in text.rstrip("/")
    return ("**", *names) if anywhere else names, text.endswith("/")


def _match(wanted: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """Whether the patterns of names match all names. pathspec would do it too: a dependency for these few lines."""
    if not wanted:
        return not names
    if wanted[0] == "**":
        # At the end it stands for what is in a folder, not for the folder.
        least = 1 if len(wanted) == 1 else 0
        return any(_match(wanted[1:], names[skipped:]) for skipped in range(least, len(names) + 1))
    return bool(names) and fnmatchcase(names[0], wanted[0]) and _match(wanted[1:], names[1:])
