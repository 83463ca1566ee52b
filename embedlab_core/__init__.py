"""embedlab: a folder of images -> a searchable, checkable index.

from embedlab_core import Index

for hit in Index.open("index").search(text="login screen", k=5).hits:
    print(hit.path, hit.score)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedlab_core.api import Index
    from embedlab_core.search.compose import Weighted

__all__ = ["Index", "Weighted"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The API is imported when it is asked for, so that `embedlab --help` need not wait for NumPy."""
    if name == "Index":
        from embedlab_core.api import Index

        return Index
    if name == "Weighted":
        from embedlab_core.search.compose import Weighted

        return Weighted
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
