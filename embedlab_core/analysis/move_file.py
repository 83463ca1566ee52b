"""Moving one file so that its bytes have a name at every moment, wherever the process stops and whatever is linked.

A move first makes the new name, and only where there is none: by a hard link, else by a copy under a temporary name of
ours, which is then linked. The old name was there all the while, so the new one is another, whichever links and mounts
lead to the two. The old name goes next, once both are opened by their paths again and hold the planned bytes. The
temporary name goes last, once the new name still holds them.

A killed process leaves one of few states, and `bring_back` knows each of them. Two names of one file are told by device
and inode. Of two files with equal bytes one is known to be our copy by its temporary name, which is a hard link to it.
Without that link, one of the two may be another view of the other (a share mounted twice, an overlay), and both stay.
"""

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from embedlab_core.errors import StaysError

_CHUNK = 1 << 20


class Found(Enum):
    """What lies at a path. FILE, LINK: a file of the planned bytes, a symbolic link to one. OTHER: anything else."""

    NOTHING = auto()
    FILE = auto()
    LINK = auto()
    OTHER = auto()


def look(path: Path, sha256: str) -> Found:
    """What lies at `path`, where bytes of this hash are expected. Raises OSError if it cannot be read."""
    link = path.is_symlink()
    try:
        status = path.stat() if link else path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Found.OTHER if link else Found.NOTHING
    if not stat.S_ISREG(status.st_mode) or _hashed(path, follow=link)[0] != sha256:
        return Found.OTHER
    return Found.LINK if link else Found.FILE


def move_file(source: Path, target: Path, sha256: str, temporary: str) -> None:
    """Move a file, or a symbolic link to one, to a name that nothing has.

    sha256: of its bytes. temporary: what a copy is called, in the target's folder, until all is done. A link leads to
    the same file from its new place. Raises StaysError, OSError: then `bring_back` puts things right.
    """
    found = look(source, sha256)
    if found not in (Found.FILE, Found.LINK):
        raise StaysError(source, "is gone" if found is Found.NOTHING else "changed; it stays")
    _make_folders(target.parent)
    if found is Found.LINK:
        _move_link(source, target)
        return
    copy = target.with_name(temporary)
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # To another file system, or on one without links.
        _copy(source, copy)
        _name_copy(copy, source, target)
    _remove_name(source, target, sha256)
    if os.path.lexists(copy):
        _remove_name(copy, target, sha256)


def bring_back(home: Path, away: Path, sha256: str, temporary: str) -> None:
    """Move a file from `away` back to `home`, or finish what a killed move or undo began. Does nothing if it is back.

    sha256, temporary: as they were for move_file. Raises StaysError if something else stands at `home`, if these bytes
    are nowhere, or if the two may be one file; OSError.
    """
    at_home, at_away = look(home, sha256), look(away, sha256)
    home_copy, away_copy = home.with_name(temporary), away.with_name(temporary)
    if at_home is Found.OTHER:
        raise StaysError(home, f"is not the file that was moved; it stays, and so does {away}")
    if at_home is Found.NOTHING:
        if at_away in (Found.FILE, Found.LINK):
            _remove_part(home_copy, away)
            _remove_part(away_copy, away)
            move_file(away, home, sha256, temporary)
        elif look(away_copy, sha256) is Found.FILE:
            _remove_part(home_copy, away_copy)
            move_file(away_copy, home, sha256, temporary)
        elif look(home_copy, sha256) is Found.FILE:
            _give_name(home_copy, home)
        else:
            raise StaysError(away, "is gone" if at_away is Found.NOTHING else "changed after it was moved; it stays")
    elif at_away in (Found.FILE, Found.LINK):
        if _same_entry(home, away):
            raise StaysError(home, f"is the same file as {away}, by a link or a mount; it stays")
        if at_home is Found.LINK and at_away is Found.FILE and home.samefile(away):
            raise StaysError(home, f"is only a link to {away}, where the file still is; remove the link first")
        if at_home is not at_away:
            raise StaysError(home, f"is back already; what is at {away} now stays")
        if at_home is Found.LINK:
            _remove_twin_link(away, home)
        elif _are_two_names(away, home):
            _remove_name(away, home, sha256)
        elif os.path.lexists(home_copy) and os.path.lexists(away_copy):
            # A move leaves one of them: these folders are two views of one.
            raise StaysError(home, f"may be the same file as {away}; it stays")
        elif _are_two_names(home, home_copy):
            _remove_name(away, home, sha256)
        elif _are_two_names(away, away_copy):
            _remove_name(away, away_copy, sha256)
        else:
            raise StaysError(home, f"is back already; another copy of it stays at {away}")
    _remove_part(away_copy, home)
    _remove_part(home_copy, home)


def _remove_name(extra: Path, kept: Path, sha256: str) -> None:
    """Remove `extra` once `kept` is proven to be another name of the same bytes."""
    (extra_hash, extra_status), (kept_hash, kept_status) = _hashed(extra), _hashed(kept)
    if extra_hash != sha256 or kept_hash != sha256:
        raise StaysError(extra, "changed while it was moved; it stays")
    one_file = os.path.samestat(extra_status, kept_status)
    if _same_entry(extra, kept) or (one_file and kept_status.st_nlink < 2):
        raise StaysError(extra, f"is the same file as {kept}; it stays")
    sync_folder(kept.parent)
    if _mark(extra.lstat()) != _mark(extra_status) or _mark(kept.lstat()) != _mark(kept_status):
        raise StaysError(extra, "changed while it was moved; it stays")
    extra.unlink()


def _remove_twin_link(extra: Path, kept: Path) -> None:
    """Remove a symbolic link if `kept` is what a move would make of it: any other may lead on through `extra`."""
    twins = _text(kept) == _text_from(extra, kept) and extra.samefile(kept)
    if not twins or os.path.samestat(extra.lstat(), kept.lstat()):
        raise StaysError(kept, f"is back already; the link at {extra} stays")
    sync_folder(kept.parent)
    extra.unlink()


def _remove_part(copy: Path, whole: Path) -> None:
    """Remove a copy, complete or not, that has our temporary name and no bytes that `whole` has not.

    What has our name but other bytes is not ours. whole: a file of the planned bytes.
    """
    if not os.path.lexists(copy):
        return
    if copy.is_symlink() or not copy.is_file() or not _begins(copy, whole):
        raise StaysError(copy, "has the name of an unfinished copy but other bytes; it stays")
    if os.path.samestat(copy.lstat(), whole.lstat()) and not _are_two_names(copy, whole):
        raise StaysError(copy, f"is the same file as {whole}; it stays")
    sync_folder(whole.parent)
    copy.unlink()


def _are_two_names(one: Path, other: Path) -> bool:
    """Whether the two are hard links of one file."""
    try:
        first, second = one.lstat(), other.lstat()
    except FileNotFoundError:
        return False
    linked = stat.S_ISREG(first.st_mode) and os.path.samestat(first, second) and first.st_nlink >= 2
    return linked and not _same_entry(one, other)


def _same_entry(one: Path, other: Path) -> bool:
    """Whether two paths name one entry of one folder, by whichever links and mounts they lead there.

    The last names need no folding of case or Unicode: they are equal, or one is a temporary name of ours.
    """
    return one.name == other.name and os.path.samestat(one.parent.stat(), other.parent.stat())


def _mark(status: os.stat_result) -> tuple[int, int, int, int]:
    """What changes when another file takes a name, or a file is written to."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _hashed(path: Path, follow: bool = False) -> tuple[str, os.stat_result]:
    """The SHA-256 of a file, hexadecimal, and its status before it was read. Never waits for a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | (0 if follow else getattr(os, "O_NOFOLLOW", 0))), "rb") as file:
        status = os.fstat(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest(), status


def _begins(part: Path, whole: Path) -> bool:
    with part.open("rb") as left, whole.open("rb") as right:
        while chunk := left.read(_CHUNK):
            if right.read(len(chunk)) != chunk:
                return False
    return True


def _copy(source: Path, copy: Path) -> None:
    """Copy bytes, times, permissions and, where that is allowed, the owner, to a name that nothing has."""
    with source.open("rb") as reader, copy.open("xb") as writer:
        made = os.fstat(writer.fileno())
        try:
            shutil.copyfileobj(reader, writer, _CHUNK)
            writer.flush()
            os.fsync(writer.fileno())
        except OSError:
            # A part that was made just now, and `source` has not been touched.
            if os.path.samestat(made, copy.lstat()):
                copy.unlink()
            raise
    _keep_attributes(source, copy)


def _keep_attributes(source: Path, copy: Path) -> None:
    """Where there are no owners or permissions (FAT), the bytes and the times are kept without them."""
    with suppress(OSError, AttributeError):
        status = source.stat()
        os.chown(copy, status.st_uid, status.st_gid)
    with suppress(OSError):
        shutil.copystat(source, copy)


def _name_copy(copy: Path, source: Path, target: Path) -> None:
    try:
        _give_name(copy, target)
    except OSError:
        _remove_part(copy, source)
        raise


def _give_name(copy: Path, target: Path) -> None:
    """Give a whole copy its name, if nothing has it. The temporary name stays too, where a file can have two."""
    try:
        os.link(copy, target)
    except FileExistsError:
        raise
    except OSError:
        # No links here (FAT, some network shares): take the name with an empty file, then fill it in one step.
        target.open("xb").close()
        copy.replace(target)


def _move_link(source: Path, target: Path) -> None:
    """Make a link that leads to the same file, then remove the old one. The file itself is not touched."""
    entry, file = source.lstat(), source.stat()
    target.symlink_to(_text_from(source, target))
    if _same_entry(source, target) or not os.path.samestat(target.stat(), file):
        raise StaysError(source, f"is a link that would not lead to the same file from {target.parent}; it stays")
    sync_folder(target.parent)
    if _mark(source.lstat()) != _mark(entry):
        raise StaysError(source, "changed while it was moved; it stays")
    source.unlink()


def _text_from(source: Path, target: Path) -> str:
    """What a link has to say at `target` to lead where it leads from `source`.

    A relative link is led through its old folder, with a "." as a seam, so that the way back restores its very text.
    """
    text = _text(source)
    if Path(text).is_absolute():
        return text
    here, there = source.parent.resolve(), target.parent.resolve()
    way_there, way_here = f"{os.path.relpath(there, here)}/./", f"{os.path.relpath(here, there)}/./"
    return text.removeprefix(way_there) if text.startswith(way_there) else way_here + text


def _text(link: Path) -> str:
    return os.readlink(link)  # noqa: PTH115 (as a Path it would lose the seam)


def _make_folders(folder: Path) -> None:
    """Make a folder and those it lies in, and see that they survive a power cut."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """See that the names in a folder survive a power cut, where the system can do that."""
    # Windows opens no folders, and some network file systems refuse to flush one.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
