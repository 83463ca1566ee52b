"""Packages that may be absent: one error that names what to install, wherever one turns out to be needed."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from embedlab_core.errors import MissingPackageError, first_line

# module -> what pip calls its package, where that has another name; and the extra of embedlab that brings it.
_PACKAGES = {
    "faiss": "faiss-cpu",
    "open_clip": "open_clip_torch",
    "sklearn": "scikit-learn",
}
_EXTRAS = {"openvino": "openvino"}


@contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Around an import. Raises MissingPackageError if it fails; purpose: "comparing a million images"."""
    try:
        yield
    except ImportError as error:
        module = (error.name or "a package").partition(".")[0]
        package = _PACKAGES.get(module, module)
        reason = None if isinstance(error, ModuleNotFoundError) else first_line(error)
        raise MissingPackageError(purpose, package, _EXTRAS.get(module), reason) from error


def require(purpose: str, *modules: str) -> None:
    """Raise MissingPackageError if one of these modules is not installed. Nothing is imported: for work that takes long
    before it comes to what it cannot do."""
    with needed_for(purpose):
        for module in modules:
            if importlib.util.find_spec(module) is None:
                raise ModuleNotFoundError(name=module)
