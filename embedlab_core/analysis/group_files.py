"""The files of duplicate groups, looked at again side by side within one budget of memory."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from embedlab_core.images.decode import memory_needed
from embedlab_core.images.memory import MemoryBudget
from embedlab_core.images.read import open_file, read_file

# Groups that are looked at side by side.
_WORKERS = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


def decoded_within(budget: MemoryBudget, place: Path, size: int, decode: Callable[[bytes], Result]) -> Result:
    """What `decode` makes of a file, once the memory to decode it to `size` pixels is free.

    Raises OSError, and ImageDecodeError also for a picture that takes more than the whole budget.
    """
    with open_file(place) as raw:
        needed = memory_needed(BufferedReader(raw), size) + place.stat().st_size
    with budget.reserve(needed):
        return decode(read_file(place))


@contextmanager
def side_by_side(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Iterator[Result]]:
    """The results for the items, in their order."""
    from threadpoolctl import threadpool_limits

    # BLAS's own threads would fight with these over products that are too small for either.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(_WORKERS) as pool:
        yield pool.map(function, items)
