"""How far a long call is, for whoever waits."""

from collections.abc import Callable

# Called with (steps done, steps to do), in the thread of the caller. Another number to do begins another stage.
Progress = Callable[[int, int], None]


def untold(done: int, total: int) -> None:
    """The progress of a call that nobody waits for."""
