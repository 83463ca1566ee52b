"""Plans are applied and undone without losing a byte, wherever they stop."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis.moves import apply_plan, undo_plan
from embedlab_core.analysis.plan import Plan, PlannedFile, PlannedGroup, load_plan, save_plan
from embedlab_core.errors import DuplicatesError, PlanAppliedError
from tests.support import run_python

# A process that ends without a warning at its n-th change to the file system. An audit hook sees them all.
KILLED = """
import os, sys
from pathlib import Path
from embedlab_core.analysis.moves import apply_plan

left = int(sys.argv[3])

def hook(event, arguments):
    global left
    if event in ("os.link", "os.remove", "os.rename", "os.mkdir"):
        left -= 1
        if left < 0:
            os._exit(9)

sys.addaudithook(hook)
apply_plan(Path(sys.argv[1]), Path(sys.argv[2]))
"""


class Set:
    """Two groups of copies in a folder, a plan to move three files, and all bytes as they were."""

    def __init__(self, root: Path) -> None:
        self.images, self.away, self.file = root / "images", root / "away", root / "plan.json"
        (self.images / "sub").mkdir(parents=True)
        groups = []
        for keep, *rest in (("a.png", "sub/b.png"), ("c.png", "d.png", "sub/a.png")):
            for name in (keep, *rest):
                (self.images / name).write_bytes(name.encode() * 1000)
            groups.append(PlannedGroup(self.planned(keep), "path", tuple(map(self.planned, rest))))
        save_plan(self.file, Plan((str(self.images),), tuple(groups)))
        self.before = self.contents()

    def planned(self, name: str) -> PlannedFile:
        return PlannedFile(0, name, hashlib.sha256((self.images / name).read_bytes()).hexdigest())

    def contents(self) -> dict[str, bytes]:
        return files_under(self.images)


def files_under(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path: Path) -> Set:
    return Set(tmp_path)


def test_apply_moves_all_but_the_keepers_and_undo_brings_them_back(made: Set) -> None:
    apply_plan(made.file, made.away)
    assert sorted(made.contents()) == ["a.png", "c.png"]
    assert sorted(files_under(made.away)) == ["d.png", "sub/a.png", "sub/b.png"]
    assert {**made.contents(), **files_under(made.away)} == made.before
    undo_plan(made.file)
    assert made.contents() == made.before
    assert files_under(made.away) == {}
    apply_plan(made.file, made.away)
    assert len(files_under(made.away)) == 3


def test_a_plan_is_applied_and_undone_only_once(made: Set) -> None:
    with pytest.raises(DuplicatesError, match="was not applied"):
        undo_plan(made.file)
    apply_plan(made.file, made.away)
    with pytest.raises(DuplicatesError, match=r"already applied to .*away; undo it first$"):
        apply_plan(made.file, made.away / "other")
    undo_plan(made.file)
    with pytest.raises(DuplicatesError, match="was not applied"):
        undo_plan(made.file)


@pytest.mark.parametrize("name", ["c.png", "sub/a.png"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_changed_file_stops_everything_and_is_named(made: Set, name: str, gone: bool) -> None:
    (made.images / name).unlink()
    if not gone:
        (made.images / name).write_bytes(b"other")
    before = made.contents()
    with pytest.raises(
        DuplicatesError, match=f"nothing was moved; changed or gone since they were embedded: {made.images / name}$"
    ):
        apply_plan(made.file, made.away)
    assert made.contents() == before
    assert not made.away.exists()
    assert load_plan(made.file).state == "planned"


def test_an_existing_target_is_never_overwritten(made: Set) -> None:
    (made.away / "sub").mkdir(parents=True)
    (made.away / "sub" / "a.png").write_bytes(b"precious")
    with pytest.raises(DuplicatesError, match=r"already in .*away: .*/away/sub/a\.png$"):
        apply_plan(made.file, made.away)
    assert made.contents() == made.before
    assert files_under(made.away) == {"sub/a.png": b"precious"}


def test_a_target_inside_the_images_folder_is_refused(made: Set) -> None:
    with pytest.raises(DuplicatesError, match="lies inside"):
        apply_plan(made.file, made.images / "copies")


def test_a_target_whose_own_subfolder_is_the_images_folder_is_refused(tmp_path: Path) -> None:
    made = Set(tmp_path)
    (made.images / "images").mkdir()
    (made.images / "images" / "d.png").write_bytes(made.before["d.png"])
    plan = load_plan(made.file)
    moved = PlannedGroup(made.planned("c.png"), "path", (made.planned("images/d.png"),))
    save_plan(made.file, Plan(plan.folders, (moved,)))
    with pytest.raises(DuplicatesError, match="lies inside"):
        apply_plan(made.file, tmp_path)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_link_leads_to_the_same_file_from_its_new_place_and_back(made: Set, absolute: bool) -> None:
    original = made.images.parent / "original" / "d.png"
    original.parent.mkdir()
    link = made.images / "d.png"
    link.rename(original)
    link.symlink_to(original if absolute else "../original/d.png")
    apply_plan(made.file, made.away / "deep" / "er")
    assert (made.away / "deep" / "er" / "d.png").read_bytes() == made.before["d.png"]
    assert original.exists()
    undo_plan(made.file)
    assert made.contents() == made.before
    assert link.readlink() == (original if absolute else Path("../original/d.png"))


@pytest.fixture
def linked(made: Set) -> Set:
    """The same, planned through a symbolic link to the images folder."""
    made.images.rename(made.images.with_name("real"))
    made.images.symlink_to("real")
    return made


def test_a_plan_through_a_linked_images_folder_is_applied_and_undone(linked: Set) -> None:
    apply_plan(linked.file, linked.away)
    assert sorted(linked.contents()) == ["a.png", "c.png"]
    assert linked.images.is_symlink()
    undo_plan(linked.file)
    assert linked.contents() == linked.before
    assert files_under(linked.away) == {}


@pytest.mark.parametrize("away", ["real/copies", "images/copies", "images", "real", "aside/../real/x"])
def test_a_target_inside_a_linked_images_folder_is_refused(linked: Set, away: str) -> None:
    (linked.file.parent / "aside").mkdir()
    with pytest.raises(DuplicatesError, match="lies inside"):
        apply_plan(linked.file, linked.file.parent / away)
    assert linked.contents() == linked.before
    assert load_plan(linked.file).state == "planned"


def test_a_target_inside_a_folder_that_embed_reached_by_a_link_is_refused(made: Set) -> None:
    elsewhere = made.file.parent / "elsewhere"
    (made.images / "sub").rename(elsewhere)
    (made.images / "sub").symlink_to(elsewhere)
    with pytest.raises(DuplicatesError, match="lies inside"):
        apply_plan(made.file, elsewhere / "away")
    apply_plan(made.file, made.away)
    assert files_under(elsewhere) == {}
    undo_plan(made.file)
    assert {**made.contents(), **{f"sub/{name}": data for name, data in files_under(elsewhere).items()}} == made.before


def test_a_file_under_two_names_is_not_moved_away_from_under_its_keeper(made: Set) -> None:
    (made.images / "d.png").unlink()
    (made.images / "d.png").symlink_to(made.images / "c.png")
    document = json.loads(made.file.read_text())
    document["groups"][1]["move"][0] = {**document["groups"][1]["keep"], "path": "d.png"}
    made.file.write_text(json.dumps(document))
    with pytest.raises(DuplicatesError, match=r"one file under two names: .*/images/d\.png$"):
        apply_plan(made.file, made.away)


def test_a_move_that_fails_half_way_can_be_undone(made: Set) -> None:
    made.away.mkdir()
    # A file where a folder is needed: sub/a.png and sub/b.png have nowhere to go.
    (made.away / "sub").write_bytes(b"in the way")
    with pytest.raises(PlanAppliedError, match=r"sub/b\.png: cannot be moved .*; what was moved can be moved back$"):
        apply_plan(made.file, made.away)
    undo_plan(made.file)
    assert made.contents() == made.before
    assert files_under(made.away) == {"sub": b"in the way"}


def stayed(made: Set) -> list[str]:
    """What undo left as it is, and why, with short paths."""
    return [
        f"{entry.path}: {entry.reason}".replace(f"{made.file.parent}/", "") for entry in undo_plan(made.file).stayed
    ]


@pytest.mark.parametrize("length", [0, 77, 5001])
def test_a_new_file_in_the_old_place_stays_and_the_others_come_back(made: Set, length: int) -> None:
    """Also one that is empty, or begins like the moved one: only a temporary name of ours says that a part is ours."""
    apply_plan(made.file, made.away)
    new = (made.before["d.png"] + b"x")[:length]
    (made.images / "d.png").write_bytes(new)
    assert stayed(made) == ["images/d.png: is not the file that was moved; it stays, and so does away/d.png"]
    assert made.contents() == {**made.before, "d.png": new}
    assert files_under(made.away) == {"d.png": made.before["d.png"]}
    assert load_plan(made.file).state == "applied"
    (made.images / "d.png").unlink()
    assert stayed(made) == []
    assert made.contents() == made.before
    assert load_plan(made.file).state == "planned"


@pytest.mark.parametrize("gone", [True, False])
def test_a_moved_file_that_changed_or_is_gone_is_named_and_the_others_come_back(made: Set, gone: bool) -> None:
    apply_plan(made.file, made.away)
    (made.away / "d.png").unlink()
    if not gone:
        (made.away / "d.png").write_bytes(b"changed")
    assert stayed(made) == ["away/d.png: is gone" if gone else "away/d.png: changed after it was moved; it stays"]
    del made.before["d.png"]
    assert made.contents() == made.before
    assert files_under(made.away) == ({} if gone else {"d.png": b"changed"})
    assert load_plan(made.file).state == "applied"


def test_undo_after_a_kill_at_any_moment_brings_everything_back(tmp_path: Path) -> None:
    codes = []
    for step in range(40):
        made = Set(tmp_path / str(step))
        codes.append(run_python("-c", KILLED, made.file, made.away, str(step)).code)
        if codes[-1] == 0:
            break
        assert codes[-1] == 9
        both = {**files_under(made.away), **made.contents()} if made.away.exists() else made.contents()
        assert both == made.before
        if load_plan(made.file).state != "planned":
            undo_plan(made.file)
        assert made.contents() == made.before
        assert not made.away.exists() or files_under(made.away) == {}
    assert codes[-1] == 0
    assert len(codes) > 8


planned_files = st.builds(
    PlannedFile,
    st.integers(0, 2),
    st.lists(st.text("abcé \udcff", min_size=1), min_size=1, max_size=3).map("/".join),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)


@given(
    st.lists(st.builds(PlannedGroup, planned_files, st.text(), st.lists(planned_files).map(tuple))).map(tuple),
    st.sampled_from(["planned", "applying", "applied"]),
)
def test_a_plan_survives_being_written(
    tmp_path_factory: pytest.TempPathFactory, groups: tuple[PlannedGroup, ...], state: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "round.json"
    plan = Plan((os.sep,) * 3, groups, (), state, None if state == "planned" else "/away")  # type: ignore[arg-type]
    save_plan(file, plan)
    assert load_plan(file) == plan
