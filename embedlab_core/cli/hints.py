"""What the command line adds to an error of the library: the options that lead out of it."""

from embedlab_core.errors import EmbedlabError, FoldersDifferError, ManyGoneError

_HINTS: dict[type[EmbedlabError], str] = {
    FoldersDifferError: "name its folders too to add to them, or make it one of the new ones with --replace",
    ManyGoneError: "bring them back, or go on with --prune",
}


def hint(error: EmbedlabError) -> str:
    """The error's message, and the way out on the command line."""
    found = _HINTS.get(type(error))
    return f"{error}; {found}" if found else str(error)
