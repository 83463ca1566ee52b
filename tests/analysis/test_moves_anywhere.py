"""No byte is lost by apply and undo, over arrangements of links, names and file systems, killed at any step.

Each example makes a small tree, applies a plan, rearranges things as people do, and undoes. After every step all
contents that were there before are still there, and all files that are not the plan's are as they were.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from embedlab_core.analysis.moves import apply_plan, undo_plan
from embedlab_core.analysis.plan import Plan, PlannedFile, PlannedGroup, load_plan, save_plan
from embedlab_core.errors import DuplicatesError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")

OURS = ".embedlab-moving-"
KILLED = 9
STEPS = {"os.link", "os.symlink", "os.remove", "os.rename", "os.mkdir", "os.chown", "os.utime"}


def in_process(action: Callable[[], object], *, die_at: int | None = None, links: bool = True) -> int:
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

    def places(self) -> set[str]:
        """Where files of the plan may lie, under all their names."""
        plan = load_plan(self.plan)
        paths = {plan.place(file) for file in plan.moves}
        paths |= {plan.destination(file, self.away) for file in plan.moves}
        return {str(path) for path in paths} | {f"{os.path.realpath(path.parent)}/{path.name}" for path in paths}

    def images(self, of: Tree | None = None) -> Tree:
        """All but the plan and the folders that apply made in its target."""
        made = f"{os.path.realpath(self.away)}/"
        entries = tree(*self.roots) if of is None else of
        return {
            path: content
            for path, content in entries.items()
            if path != str(self.plan) and (content is not None or not path.startswith(made))
        }

    def check(self, before: Tree) -> None:
        """Nothing that was there `before` is lost, and what is not the plan's is as it was."""
        now, places = tree(*self.roots), self.places() | {str(self.plan)}
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


NAMES = ["a.png", "sub/a.png", "sub/deep/b.png"]
FOLDERS = ["plain", "plain", "link", "link", "link to another disk"]


def make_folder(folder: Path, kind: str, aside: Path, other: Path) -> None:
    if kind == "plain":
        folder.mkdir(parents=True)
        return
    real = Path(tempfile.mkdtemp(prefix="real-", dir=aside if kind == "link" else other))
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(real)


def make_world(root: Path, other: Path, draw: Callable[[st.SearchStrategy], object]) -> World:  # type: ignore[type-arg]
    world = World(root, other)
    (root / "originals").mkdir()
    for folder in world.folders:
        make_folder(folder, draw(st.sampled_from(FOLDERS)), root, other)
        make_folder(folder / "sub", draw(st.sampled_from(FOLDERS)), root, other)
        (folder / "sub" / "deep").mkdir()
    make_folder(world.away, draw(st.sampled_from(FOLDERS)), root, other)
    moves = []
    equal = draw(st.booleans())
    for number, folder in enumerate(world.folders):
        for name in NAMES:
            path, content = folder / name, b"equal" * 300 if equal else f"{number} {name} ".encode() * 100
            kind = draw(st.sampled_from(["file", "file", "relative link", "absolute link", "hard link"]))
            original = root / "originals" / f"{number}-{name.replace('/', '-')}"
            if kind != "file":
                original.write_bytes(content)
            if kind == "hard link" and path.parent.stat().st_dev == original.stat().st_dev:
                os.link(original, path)
            elif kind.endswith("link"):
                absolute = kind == "absolute link"
                path.symlink_to(original if absolute else os.path.relpath(original, path.parent.resolve()))
            else:
                path.write_bytes(content)
            moves.append(PlannedFile(number, name, hashlib.sha256(content).hexdigest()))
    keep, *rest = moves
    save_plan(world.plan, Plan(tuple(map(str, world.folders)), (PlannedGroup(keep, "path", tuple(rest)),)))
    return world


def clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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


def fresh(disks: tuple[Path, Path]) -> tuple[Path, Path]:
    return Path(tempfile.mkdtemp(dir=disks[0])), Path(tempfile.mkdtemp(dir=disks[1]))


def tear(world: World, share: float) -> None:
    """A power cut: what was being copied ends early."""
    for root in world.roots:
        for path in root.rglob(f"{OURS}*"):
            if path.stat().st_nlink == 1:
                os.truncate(path, int(path.stat().st_size * share))


@settings(max_examples=100)
@given(st.data())
def test_whatever_is_linked_and_whenever_it_is_killed_nothing_is_lost(
    disks: tuple[Path, Path], data: st.DataObject
) -> None:
    world = make_world(*fresh(disks), data.draw)
    links = data.draw(st.booleans())
    changes = data.draw(
        st.lists(st.tuples(st.sampled_from(REARRANGED), st.integers(0, 1), st.sampled_from(NAMES)), max_size=3)
    )
    start = tree(*world.roots)
    codes = [in_process(lambda: apply_plan(world.plan, world.away), die_at=data.draw(kills), links=links)]
    world.check(start)
    if codes[0] == KILLED:
        tear(world, data.draw(st.floats(0, 1)))
    for change in changes:
        with suppress(OSError, shutil.Error):  # It cannot be done to what a former one left.
            rearrange(world, *change)
    for die_at in (data.draw(kills), None):
        now = tree(*world.roots)
        codes.append(in_process(lambda: undo_plan(world.plan), die_at=die_at, links=links))
        world.check(now)
    assert set(codes) <= {0, 1, KILLED}
    event(f"codes {codes}, changed {bool(changes)}")
    if not changes and (links or KILLED not in codes):
        assert world.images() == world.images(start)
