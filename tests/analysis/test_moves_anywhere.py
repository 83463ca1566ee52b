"""No byte is lost by apply and undo, over arrangements of links, names and file systems, killed at any step.

Each example makes a small tree, applies a plan, rearranges things as people do, and undoes. After every step all
contents that were there before are still there, and all files that are not the plan's are as they were.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedlab_core.analysis.moves import apply_plan, undo_plan
from embedlab_core.analysis.plan import Plan, PlannedFile, PlannedGroup, load_plan, save_plan
from embedlab_core.errors import DuplicatesError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")

OURS = ".embedlab-moving-"
KILLED = 9
STEPS = {"os.link", "os.symlink", "os.remove", "os.rename", "os.mkdir", "os.chown", "os.utime"}


def in_process(action: Callable[[], object], die_at: int | None, links: bool) -> int:
    """Run `action` in a process that dies before its n-th change to a file system, or on one without hard links.

    Audit hooks see all changes. Returns 0, 1 for a DuplicatesError, KILLED.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = die_at

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        creates = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & os.O_CREAT)
        if left is not None and (creates or event in STEPS):
            left -= 1
            if left < 0:
                os._exit(KILLED)
        if event == "os.link" and not links:
            raise PermissionError(1, "Operation not permitted")

    code = 70
    try:
        sys.addaudithook(hook)
        action()
        code = 0
    except DuplicatesError:
        code = 1
    finally:
        os._exit(code)


def apply(world: "World", die_at: int | None = None, links: bool = True) -> int:
    return in_process(lambda: apply_plan(world.plan, world.away), die_at, links)


def undo(world: "World", die_at: int | None = None, links: bool = True) -> int:
    """1 if something stayed."""

    def action() -> None:
        if undo_plan(world.plan).stayed:
            raise DuplicatesError

    return in_process(action, die_at, links)


Tree = dict[str, bytes | str | None]


def tree(*roots: Path) -> Tree:
    """All entries: the bytes of a file, the very text of a link, None for a folder."""
    found: Tree = {}
    for path in (path for root in roots for path in root.rglob("*")):
        if path.is_symlink():
            found[str(path)] = os.readlink(path)  # noqa: PTH115
        else:
            found[str(path)] = None if path.is_dir() else path.read_bytes()
    return found


@dataclass
class World:
    """Two folders of images, a plan that moves some of them, a place to move them to, and things of the user."""

    root: Path
    other: Path  # On another file system, if there is one.
    away: Path = field(init=False)
    plan: Path = field(init=False)
    folders: list[Path] = field(init=False)

    def __post_init__(self) -> None:
        self.away, self.plan = self.root / "away", self.root / "plan.json"
        self.folders = [self.root / "one" / "images", self.root / "two" / "images"]

    @property
    def roots(self) -> tuple[Path, Path]:
        return self.root, self.other

    def names(self) -> list[set[str]]:
        """For each file of the plan, where it may lie, by all names that lead there."""
        plan = load_plan(self.plan)
        names = []
        for file in plan.moves:
            places = [plan.place(file), plan.destination(file, self.away)]
            names.append({str(place) for place in places} | {f"{os.path.realpath(p.parent)}/{p.name}" for p in places})
        return names

    def images(self, of: Tree | None = None) -> Tree:
        """All but the plan and the folders that apply made in its target."""
        made = f"{os.path.realpath(self.away)}/"
        entries = tree(*self.roots) if of is None else of
        return {
            path: content
            for path, content in entries.items()
            if not path.endswith(self.plan.name) and (content is not None or not path.startswith(made))
        }

    def check(self, before: Tree) -> None:
        """Nothing that was there `before` is lost, and what is not the plan's is as it was."""
        now, places = tree(*self.roots), set().union(*self.names())
        planned = {file.sha256 for file in load_plan(self.plan).moves}
        contents = {content for content in now.values() if isinstance(content, bytes)}
        for path, content in before.items():
            if path == str(self.plan) or Path(path).name.startswith(OURS):
                continue
            assert path in now or path in places, f"{path} is gone"
            own = path in places and (
                hashlib.sha256(content).hexdigest() in planned if isinstance(content, bytes) else True
            )
            assert not isinstance(content, bytes) or content in contents, f"{path} is lost"
            assert own or now.get(path) == content, f"{path} was touched"
        for names in self.names():
            assert not any(name in before for name in names) or any(name in now for name in names), f"{names} are gone"


NAMES = ["a.png", "sub/a.png", "sub/deep/b.png"]
FOLDERS = ["plain", "link", "link to another disk"]
FILES = ["file", "relative link", "absolute link", "hard link"]


def make_folder(folder: Path, kind: str, world: World) -> None:
    if kind == "plain":
        folder.mkdir(parents=True)
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(tempfile.mkdtemp(prefix="real-", dir=world.root if kind == "link" else world.other))


def make_world(
    disks: tuple[Path, Path], folders: Sequence[str], kinds: Sequence[str], equal: bool = False, moved: int = 5
) -> World:
    """folders: of FOLDERS, for each folder of images and its subfolder, and for the place to move to. kinds: of FILES,
    for each file. equal: whether all have the same bytes. moved: how many move."""
    world = World(*(Path(tempfile.mkdtemp(dir=disk)) for disk in disks))
    originals = world.root / "originals"
    originals.mkdir()
    for number, images in enumerate(world.folders):
        make_folder(images, folders[2 * number], world)
        make_folder(images / "sub", folders[2 * number + 1], world)
        (images / "sub" / "deep").mkdir()
    make_folder(world.away, folders[4], world)
    files = []
    for kind, (number, name) in zip(kinds, product(range(2), NAMES), strict=True):
        path, content = world.folders[number] / name, b"equal" * 300 if equal else f"{number} {name} ".encode() * 100
        original = originals / f"{number}-{name.replace('/', '-')}"
        if kind != "file":
            original.write_bytes(content)
        if kind == "hard link" and path.parent.stat().st_dev == original.stat().st_dev:
            os.link(original, path)
        elif kind in ("relative link", "absolute link"):
            path.symlink_to(original if kind[0] == "a" else os.path.relpath(original, os.path.realpath(path.parent)))
        else:
            path.write_bytes(content)
        files.append(PlannedFile(number, name, hashlib.sha256(content).hexdigest()))
    group = PlannedGroup(files[0], "path", tuple(files[1 : moved + 1]))
    save_plan(world.plan, Plan(tuple(map(str, world.folders)), (group,)))
    return world


def merge(source: Path, target: Path) -> None:
    """Put all of a folder back by hand."""
    for path in list(source.rglob("*")):
        new = target / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            new.mkdir(parents=True, exist_ok=True)
        elif not os.path.lexists(new):
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, new)


def set_aside(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}-aside"))


def rearrange(world: World, kind: str, number: int, name: str) -> None:
    """One thing that a user may do between apply and undo."""
    images = world.folders[number]
    file = PlannedFile(number, name, "")
    home, away = images / name, load_plan(world.plan).destination(file, world.away)
    mine = world.away / "images" if number == 0 else world.away / "images-2"
    if kind == "away leads to images":
        set_aside(mine)
        mine.symlink_to(images)
    elif kind == "images lead to away":
        set_aside(images)
        images.symlink_to(mine)
    elif kind == "put back, then away leads to images":
        merge(mine, images)
        set_aside(mine)
        mine.symlink_to(images)
    elif kind == "collected, then images lead to away":
        merge(images, mine)
        set_aside(images)
        images.symlink_to(mine)
    elif kind == "a subfolder put back and linked":
        merge(mine / "sub", images / "sub")
        set_aside(mine / "sub")
        (mine / "sub").symlink_to((images / "sub").resolve())
    elif kind == "swapped":
        if images.stat().st_dev == mine.stat().st_dev:
            set_aside(mine)
            images.rename(mine)
            mine.with_name(f"{mine.name}-aside").rename(images)
    elif kind == "images are gone":
        set_aside(images)
    elif kind == "copied back":
        if away.is_file() and not os.path.lexists(home):
            shutil.copy2(away, home)
    elif kind == "hard-linked back":
        if away.is_file() and not away.is_symlink() and not os.path.lexists(home):
            shutil.copy2(away, home) if away.stat().st_dev != home.parent.stat().st_dev else os.link(away, home)
    else:
        content = away.read_bytes() if away.is_file() else b"gone"
        make = {
            "empty": lambda path: path.write_bytes(b""),
            "prefix": lambda path: path.write_bytes(content[: len(content) // 2]),
            "longer": lambda path: path.write_bytes(content + b"more"),
            "link to away": lambda path: path.symlink_to(away),
            "dangling link": lambda path: path.symlink_to("nowhere"),
            "folder": lambda path: path.mkdir(),
        }
        where, what = kind.split(": ")
        place = home if where == "old place" else away
        if where == "new place" and os.path.lexists(away):
            set_aside(away)
        if not os.path.lexists(place) and place.parent.is_dir():
            make[what](place)


REARRANGED = [
    "away leads to images",
    "images lead to away",
    "put back, then away leads to images",
    "collected, then images lead to away",
    "a subfolder put back and linked",
    "swapped",
    "images are gone",
    "copied back",
    "hard-linked back",
    "old place: empty",
    "old place: prefix",
    "old place: longer",
    "old place: link to away",
    "old place: dangling link",
    "old place: folder",
    "new place: empty",
    "new place: prefix",
    "new place: dangling link",
]
kills = st.none() | st.integers(0, 50)


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Two folders on two file systems where the machine has them; most is done in memory, which flushes at once."""
    other, memory = tmp_path_factory.mktemp("other"), Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else other) as here:
        yield Path(here), other


def tear(world: World, share: float) -> None:
    """A power cut: what was being copied ends early."""
    for root in world.roots:
        for path in root.rglob(f"{OURS}*"):
            if path.stat().st_nlink == 1:
                os.truncate(path, int(path.stat().st_size * share))


@pytest.mark.parametrize("killed", ["apply", "undo"])
@pytest.mark.parametrize(("away", "links"), [("plain", True), ("link to another disk", True), ("plain", False)])
def test_after_a_kill_at_any_step_undo_brings_everything_back(
    disks: tuple[Path, Path], away: str, links: bool, killed: str
) -> None:
    kinds = ["file", "file", "relative link", "file", "absolute link", "hard link"]
    for step in range(100):
        world = make_world(disks, ["plain", "link", "plain", "plain", away], kinds, moved=3)
        start = tree(*world.roots)
        code = apply(world, step if killed == "apply" else None, links)
        if killed == "undo":
            assert code == 0
            code = undo(world, step, links)
        world.check(start)
        tear(world, step % 3 / 2)
        if load_plan(world.plan).state != "planned":
            again = undo(world)
            # Without hard links one moment of a move cannot be told from what a user may have done.
            assert again == 0 or not links
            world.check(start)
        if links:
            assert world.images() == world.images(start)
        if code == 0:
            break
        assert code == KILLED
    assert 10 < step < 99


@pytest.mark.parametrize(
    ("kind", "away"), [("file", "plain"), ("relative link", "plain"), ("file", "link to another disk")]
)
@pytest.mark.parametrize("change", REARRANGED)
def test_whatever_is_done_between_apply_and_undo_nothing_is_lost(
    disks: tuple[Path, Path], change: str, kind: str, away: str
) -> None:
    world = make_world(disks, ["plain"] * 4 + [away], ["file"] + [kind] * 5)
    assert apply(world) == 0
    rearrange(world, change, 1, "sub/a.png")
    before = tree(*world.roots)
    code = undo(world)
    world.check(before)
    assert code == (0 if change == "swapped" or (change == "hard-linked back" and away == "plain") else 1)


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(FOLDERS), min_size=5, max_size=5),
    st.lists(st.sampled_from(FILES), min_size=6, max_size=6),
    st.lists(st.tuples(st.sampled_from(REARRANGED), st.integers(0, 1), st.sampled_from(NAMES)), max_size=3),
    st.tuples(kills, kills),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_linked_and_whenever_it_is_killed_nothing_is_lost(
    disks: tuple[Path, Path],
    folders: list[str],
    kinds: list[str],
    changes: list[tuple[str, int, str]],
    die_at: tuple[int | None, int | None],
    copied: float,
    links: bool,
    equal: bool,
) -> None:
    world = make_world(disks, folders, kinds, equal)
    start = tree(*world.roots)
    codes = [apply(world, die_at[0], links)]
    world.check(start)
    tear(world, copied)
    for change in changes:
        with suppress(OSError, shutil.Error):  # It cannot be done to what a former one left.
            rearrange(world, *change)
    for step in (die_at[1], None):
        now = tree(*world.roots)
        codes.append(undo(world, step, links))
        world.check(now)
    assert set(codes) <= {0, 1, KILLED}
    if not changes and (links or KILLED not in codes):
        assert world.images() == world.images(start)
