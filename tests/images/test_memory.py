"""Memory for reading and decoding is bounded, for each file and for all workers together."""

import struct
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.memory import MemoryBudget
from tests.support import run_python

# Decodes a file and prints by how many MB the process grew, and what came of it.
MEASURE = """
import sys
from pathlib import Path
from PIL import Image
from embedlab_core.images.decode import PixelSpec, decode_image
from embedlab_core.images.discover import ImageFile
from embedlab_core.images.memory import MemoryBudget
from embedlab_core.pipeline import Skip, _read
from tests.peak import peak_mb
spec = PixelSpec(32, "squash", "bilinear", (0.5,) * 3, (0.5,) * 3)
small = Path(sys.argv[1]).with_name("small.png")
_read(small.parent, ImageFile(small.name, small.stat().st_size, 0), (spec,), {}, MemoryBudget())
before = peak_mb()
path = Path(sys.argv[1])
outcome = _read(path.parent, ImageFile(path.name, path.stat().st_size, 0), (spec,), {}, MemoryBudget())
grown = peak_mb() - before
print(grown, outcome.reason if isinstance(outcome, Skip) else "decoded")
"""


def measured(path: Path) -> tuple[float, str]:
    Image.new("RGB", (8, 8)).save(path.with_name("small.png"))
    done = run_python("-c", MEASURE, path)
    assert done.code == 0, done.stderr
    megabytes, outcome = done.stdout.split(maxsplit=1)
    return float(megabytes), outcome.strip()


@pytest.mark.parametrize("name", ["palette.gif", "palette.png", "transparent.png", "deep.png"])
def test_a_huge_canvas_takes_little_more_than_its_pixels(tmp_path: Path, name: str) -> None:
    size = (8_000, 8_000)
    if name == "deep.png":
        Image.new("I;16", size, 30_000).save(tmp_path / name, compress_level=1)
    else:
        options = {"transparency": 0} if name == "transparent.png" else {}
        Image.new("P", size).save(tmp_path / name, **options)
    megabytes, outcome = measured(tmp_path / name)
    assert outcome == "decoded"
    assert megabytes < 320  # Converted as a whole: 500 to 1,000.


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**29) + b"tEXt",
        b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 700, 1, 2**29, 100) + bytes(4),
        b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
        b"RIFF\xff\xff\xff\x3fWEBPVP8 ",
    ],
)
def test_a_huge_file_that_is_no_picture_is_not_read(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.write(start)
        file.truncate(2**30)
    megabytes, outcome = measured(path)
    assert outcome != "decoded"
    assert megabytes < 150


def test_more_than_there_is_is_refused_and_the_rest_is_lent_again() -> None:
    budget = MemoryBudget(100)
    with pytest.raises(ImageDecodeError, match="GB of memory"), budget.reserve(101):
        pass
    with pytest.raises(ZeroDivisionError), budget.reserve(100):
        raise ZeroDivisionError
    with budget.reserve(100):
        pass


def test_workers_wait_for_their_turn_and_a_large_picture_is_not_overtaken() -> None:
    budget = MemoryBudget(100)
    order: list[int] = []
    most = used = 0
    lock = threading.Lock()

    def work(wanted: int) -> None:
        nonlocal most, used
        with budget.reserve(wanted):
            with lock:
                used += wanted
                most = max(most, used)
                order.append(wanted)
            time.sleep(0.02)
            with lock:
                used -= wanted

    with budget.reserve(50):
        threads = []
        for wanted in (90, 10, 20):
            threads.append(threading.Thread(target=work, args=(wanted,)))
            threads[-1].start()
            time.sleep(0.05)
        assert order == []
    for thread in threads:
        thread.join(5)
    assert order[0] == 90
    assert sorted(order) == [10, 20, 90]
    assert most <= 100


# The same, of 4 threads that decode the file twice each, within a budget for one of them.
TOGETHER = """
from concurrent.futures import ThreadPoolExecutor
budget = MemoryBudget(200_000_000)
file = ImageFile(path.name, path.stat().st_size, 0)
with ThreadPoolExecutor(4) as pool:
    outcomes = list(pool.map(lambda _: _read(path.parent, file, (spec,), {}, budget), range(6)))
assert not any(isinstance(outcome, Skip) for outcome in outcomes), outcomes[0]
grown = peak_mb() - before
print(grown)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="others give back freed memory in their own time")
def test_workers_together_take_what_one_takes_where_the_budget_is_for_one(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "small.png")
    Image.new("RGB", (4_000, 4_000)).save(tmp_path / "large.bmp")
    before = MEASURE.split("outcome =")[0]
    done = run_python("-c", before + TOGETHER, tmp_path / "large.bmp")
    assert done.code == 0, done.stderr
    assert float(done.stdout) < 150  # Without giving it back: 240.
