"""Errors a user can meet. Each message is one line that names the thing at fault and the way out."""

from pathlib import Path

# What is longer was never meant to be read in a line.
_LONGEST_REASON = 200


class EmbedlabError(Exception):
    """Base of all errors that embedlab raises on purpose; the command line prints the message and exits with 1."""


class ImageDecodeError(EmbedlabError):
    """One image cannot be turned into pixels. Batches record it and go on."""


class ImagesDirError(EmbedlabError):
    """The folder of images is missing, unreadable, or holds no images."""


class QueryError(EmbedlabError):
    """A query image or prompt cannot be used."""


class ModelError(EmbedlabError):
    """A model folder is missing, incomplete or damaged."""


class VectorError(ModelError):
    """A model gave vectors that are not of length 1: a damaged model, or an input that it sees nothing in.

    rows: the places of the inputs. reason: what is wrong, said of one of them.
    """

    def __init__(self, message: str, rows: tuple[int, ...], reason: str) -> None:
        super().__init__(message)
        self.rows = rows
        self.reason = reason


class ModelPullError(ModelError):
    """A model cannot be brought here: the hub does not answer or has no such thing, the download is damaged, or there
    is no room for it."""


class DeviceError(EmbedlabError):
    """The device or precision asked for is not to be had here."""


class ModelMismatchError(ModelError):
    """An index was made by another model than the one asked for."""


class IndexMissingError(EmbedlabError):
    """There is no index at this path."""


class IndexDamagedError(EmbedlabError):
    """An index exists but a part of it cannot be read."""


class IndexUnreadableError(EmbedlabError):
    """An index exists, perhaps whole, but the system does not let a part of it be read."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path}: cannot be read ({error.strerror or error}); nothing is known to be wrong with the index: "
            "let this user read it, or give another folder"
        )


class StoreError(EmbedlabError):
    """Vectors cannot be stored, or read, the way that was asked for."""


class FileWriteError(EmbedlabError):
    """A file cannot be written: no room, no permission, or a folder in its place."""


class IndexWriteError(FileWriteError):
    """The index cannot be written: no room, no permission, or another run is writing it."""


class AnalysisError(EmbedlabError):
    """What was asked of an index cannot be answered from the images in it."""


class LabelError(EmbedlabError):
    """A list of labels, or a vocabulary, cannot be used."""


class DuplicatesError(EmbedlabError):
    """A list, a plan or labels about duplicates cannot be used."""


class NotAnIndexError(EmbedlabError):
    """A folder is not an index and holds other things, so that none is made in it either."""

    def __init__(self, directory: Path, entry: str) -> None:
        super().__init__(
            f"{directory}: not an index of embedlab (it holds {entry}); give an index, or a new or empty folder for one"
        )
        self.directory = directory


class IndexNewerError(EmbedlabError):
    """A later version of embedlab wrote the index."""

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(
            f"{path}: format {version}, written by a newer embedlab; this one reads formats up to {known}: upgrade it"
        )


class FoldersDifferError(EmbedlabError):
    """An index is of other folders than those it is to be brought up to date from.

    Attributes:
        has: the folders of the index, absolute.
        asked: the others, as they were given.
    """

    def __init__(self, directory: Path, has: tuple[str, ...], asked: tuple[str, ...]) -> None:
        super().__init__(f"{directory}: is an index of {' and '.join(has)}, not of {' and '.join(asked)}")
        self.directory = directory
        self.has = has
        self.asked = asked


class ManyGoneError(EmbedlabError):
    """A run would drop more than half of an index.

    Attributes:
        gone: how many images would be dropped.
        count: how many the index holds.
        empty: folders in which nothing is left of them.
    """

    def __init__(self, directory: Path, gone: int, count: int, empty: tuple[str, ...]) -> None:
        where = f"; nothing would be left of {', '.join(empty[:5])}" if empty else ""
        more = f" and {len(empty) - 5} more folders" if len(empty) > 5 else ""
        super().__init__(
            f"{directory}: {gone} of its {count} images are gone or left out now, and would be dropped{where}{more}; "
            "nothing was changed"
        )
        self.directory = directory
        self.gone = gone
        self.count = count
        self.empty = empty


class MissingPackageError(EmbedlabError):
    """A Python package is needed that is not installed, or that cannot be loaded.

    purpose: what needs it. package: as pip calls it. extra: of embedlab, that brings it, if one does. reason: why it
    cannot be loaded; None if it is not there.
    """

    def __init__(self, purpose: str, package: str, extra: str | None = None, reason: str | None = None) -> None:
        wanted = f"'embedlab[{extra}]'" if extra else package
        if reason is None:
            message = f"{purpose} needs {package}, which is not installed; get it with: pip install {wanted}"
        else:
            again = f"pip install --force-reinstall {wanted}"
            message = f"{purpose} needs {package}, which cannot be loaded ({reason}); mend it with: {again}"
        super().__init__(message)
        self.purpose = purpose
        self.package = package
        self.extra = extra
        self.reason = reason


def first_line(error: BaseException) -> str:
    """What another library says of a fault, for a message: its first line, and the next one where that only announces
    it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"


def why_unreadable(error: OSError | UnicodeDecodeError) -> str:
    """What keeps a text file from being read, for a message, with the way out where there is one."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte 0x{error.object[error.start]:02x} at {error.start}); save it as UTF-8"
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"


class PlanAppliedError(DuplicatesError):
    """A plan was carried out, wholly or in part: it must be undone first. plan_file: where the plan is."""

    def __init__(self, plan_file: Path, message: str) -> None:
        super().__init__(message)
        self.plan_file = plan_file


class StaysError(DuplicatesError):
    """A file stays where it is, as moving it or taking a name away could cost someone its bytes.

    path: what stays or is in the way. reason: why, said of it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
