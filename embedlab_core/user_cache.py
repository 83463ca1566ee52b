"""The folder in which a user keeps what can be made or fetched again, whatever the index."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Where the hub's client has its own beside it: XDG_CACHE_HOME, else ~/.cache. It may not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "embedlab"
