"""Shards on disk: what is written is what is read, and nothing that is not a plain array is ever let in."""

import mmap
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from embedlab_core.errors import IndexDamagedError, IndexWriteError
from embedlab_core.index.files import file_sha256
from embedlab_core.index.npz import open_npz, write_npz

Array = npt.NDArray[Any]

DTYPES = st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?", "U1", "U20", "S5"])
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0)))
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_é", min_size=1, max_size=70)

SAMPLE: dict[str, Array] = {
    "vectors": np.arange(24, dtype=np.float32).reshape(6, 4),
    "paths": np.array(["a.png", "ü/日本.jpg", "", "b", "c" * 40, "d"]),
    "empty": np.empty((0, 32), np.uint8),
}


def same(left: Array, right: Array) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Array]) -> None:
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    write_npz(path, arrays)
    mapped = open_npz(path)
    with np.load(path, allow_pickle=False) as loaded:
        assert list(mapped) == list(loaded) == list(arrays)
        for name, array in arrays.items():
            assert same(mapped[name], array)
            assert same(loaded[name], array)


@given(st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=5))
def test_arrays_start_at_multiples_of_64_bytes(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Array]
) -> None:
    path = tmp_path_factory.mktemp("npz") / "x.npz"
    write_npz(path, arrays)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name_length, extra_length = struct.unpack_from("<HH", data, info.header_offset + 26)
            member = info.header_offset + 30 + name_length + extra_length
            (header_length,) = struct.unpack_from("<H", data, member + 8)
            assert (member + 10 + header_length) % 64 == 0
    for array in open_npz(path).values():
        # A map starts at a page boundary; an array without elements has no address to speak of.
        assert array.size == 0 or array.ctypes.data % 64 == 0


def test_arrays_are_mapped_and_cannot_be_written(tmp_path: Path) -> None:
    write_npz(tmp_path / "x.npz", SAMPLE)
    for array in open_npz(tmp_path / "x.npz").values():
        base: Any = array
        while isinstance(base, np.ndarray):
            base = base.base
        assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)
        assert not array.flags.writeable


def test_reading_follows_the_file_because_it_is_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_npz(path, {"vectors": np.full(1000, 7, np.int64)})
    mapped = open_npz(path)["vectors"]
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(data.index(struct.pack("<q", 7)))
        file.write(struct.pack("<q", 8))
    assert mapped[0] == 8


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    digests = {write_npz(tmp_path / name, SAMPLE) for name in ("a.npz", "b.npz")}
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert digests == {file_sha256(tmp_path / "a.npz")}


def test_a_view_is_written_in_plain_order(tmp_path: Path) -> None:
    columns = np.asfortranarray(np.arange(12).reshape(3, 4))[::2]
    write_npz(tmp_path / "x.npz", {"x": columns})
    assert same(open_npz(tmp_path / "x.npz")["x"], np.ascontiguousarray(columns))


def test_files_of_numpy_savez_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **SAMPLE)  # type: ignore[arg-type]
    for name, array in open_npz(tmp_path / "x.npz").items():
        assert same(array, SAMPLE[name])


def test_pickled_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        write_npz(tmp_path / "x.npz", {"x": np.array([{}, []], dtype=object)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ("pickled", "not a plain"),
        ("compressed", "is compressed"),
        ("fortran", "not a plain"),
        ("not npy", "magic"),
        ("text", "not a zip file"),
        ("empty", "empty"),
        ("folder", "directory"),
        ("missing", "No such file"),
    ],
)
def test_what_is_not_a_plain_npz_is_refused_by_name(tmp_path: Path, make: str, reason: str) -> None:
    path = tmp_path / "000007.npz"
    match make:
        case "pickled":
            np.savez(path, x=np.array([{"a": 1}], dtype=object))
        case "compressed":
            np.savez_compressed(path, x=np.arange(1000))
        case "fortran":
            np.savez(path, x=np.asfortranarray(np.arange(12).reshape(3, 4)))
        case "not npy":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x.npy", b"not an array")
        case "text":
            path.write_text("no zip at all")
        case "empty":
            path.touch()
        case "folder":
            path.mkdir()
    with pytest.raises(IndexDamagedError, match=rf"000007\.npz: .* damaged .*{reason}.* run embed again"):
        open_npz(path)


def with_header(path: Path, header: str, data: bytes = bytes(64)) -> None:
    """An npz of one array `x`, with this header before its data."""
    text = header.encode("latin-1")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data)


def header_of(descr: str = "'<f4'", shape: str = "(4, 2)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}          \n"


def test_a_header_as_numpy_writes_it_is_taken(tmp_path: Path) -> None:
    with_header(tmp_path / "x.npz", header_of())
    assert same(open_npz(tmp_path / "x.npz")["x"], np.zeros((4, 2), np.float32))


@pytest.mark.parametrize(
    "header",
    [
        *(
            header_of(descr)
            for descr in (
                "'|O'",
                "'>f4'",
                "'<f9'",
                "'<f16'",
                "'<c8'",
                "'<M8[ns]'",
                "'<m8'",
                "'<V8'",
                "'<U0'",
                "'<U99999999999'",
                "'<f4, <f4'",
                "[('a', '<f4'), ('b', '<i4')]",
                "('<f4', (2,))",
                "'float32'",
                "4",
                "None",
                "[" * 3000,
            )
        ),
        *(
            header_of(shape=shape)
            for shape in (
                "()",
                "4",
                "[4, 2]",
                "(-4, -2)",
                "(-1,)",
                "(4.0, 2)",
                "(True, 8)",
                "(4, '2')",
                "(None,)",
                "(9223372036854775807, 9223372036854775807)",
                "(4294967296, 4294967296)",
                "(99999999999999999999,)",
                "(0, 9223372036854775807)",
                "(1, 1, 1, 1, 1)",
                f"({'1, ' * 2000})",
                f"(1{'0' * 5000},)",
                f"({'-' * 5000}1,)",
                "(" * 3000,
                "(9,)",
            )
        ),
        header_of(order="True"),
        header_of(order="None"),
        header_of().rstrip("\n"),
        header_of() + "import",
        "",
        "{",
        "{}\n",
        "\xff\xfe\n",
    ],
)
def test_a_header_of_anything_else_is_refused(tmp_path: Path, header: str) -> None:
    with_header(tmp_path / "x.npz", header, bytes(32))
    with pytest.raises(IndexDamagedError, match=r"x\.npz: .* damaged \(.{1,120}\); run embed again") as caught:
        open_npz(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("x.npy", b"")
    with pytest.raises(IndexDamagedError, match="two arrays have one name"):
        open_npz(tmp_path / "x.npz")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("npz") / "sample.npz"
    write_npz(path, SAMPLE)
    return path


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
@settings(max_examples=300)
def test_damaged_bytes_give_arrays_or_a_refusal(sample: Path, changes: list[tuple[int, int]]) -> None:
    path = sample.with_name("x.npz")
    data = bytearray(sample.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        arrays = open_npz(path)
    except IndexDamagedError:
        return
    for array in arrays.values():
        array.tobytes()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_npz(path, SAMPLE)
    data = path.read_bytes()
    # Every length inside the central directory at the end, every third before it.
    for length in [*range(0, len(data) - 200, 3), *range(len(data) - 200, len(data))]:
        path.write_bytes(data[:length])
        with pytest.raises(IndexDamagedError, match=r"x\.npz"):
            open_npz(path)


@pytest.mark.parametrize("flip", [0x04, 0xFF])
def test_a_damaged_byte_gives_arrays_or_a_refusal(tmp_path: Path, flip: int) -> None:
    path = tmp_path / "x.npz"
    write_npz(path, SAMPLE)
    data = path.read_bytes()
    refused = 0
    for place in range(flip % 3, len(data), 3):
        path.write_bytes(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
        try:
            arrays = open_npz(path)
        except IndexDamagedError as error:
            assert "x.npz" in str(error)
            refused += 1
        else:
            assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert refused > 30


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_npz(tmp_path / "x.npz", SAMPLE)
    before = (tmp_path / "x.npz").read_bytes()
    with pytest.raises(ValueError, match="Object arrays"):
        write_npz(tmp_path / "x.npz", {**SAMPLE, "bad": np.array([None])})
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]
    assert (tmp_path / "x.npz").read_bytes() == before


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(IndexWriteError, match=r"file/x\.npz: cannot be written"):
        write_npz(tmp_path / "file" / "x.npz", SAMPLE)
