"""Plans are applied and undone without losing a byte, wherever they stop."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis.moves import apply_plan, undo_plan
from embedlab_core.analysis.plan import Plan, PlannedFile, PlannedGroup, load_plan, save_plan
from embedlab_core.errors import DuplicatesError, PlanAppliedError
from tests.support import ROOT, run_cli, run_python


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


@pytest.mark.parametrize("leads", ["away to images", "images to away"])
def test_undo_with_one_folder_linked_to_the_other_takes_nothing_away(made: Set, leads: str) -> None:
    """Seen before: 41 images were said to be back, and were gone."""
    apply_plan(made.file, made.away)
    link, real = (made.away, made.images) if leads == "away to images" else (made.images, made.away)
    shutil.copytree(link, real, dirs_exist_ok=True)
    shutil.rmtree(link)
    link.symlink_to(real)
    assert len(stayed(made)) == 3
    assert files_under(real) == made.before
    assert load_plan(made.file).state == "applied"


def test_undo_with_a_subfolder_put_back_and_linked_takes_nothing_away(made: Set) -> None:
    apply_plan(made.file, made.away)
    (made.images / "sub").rmdir()
    (made.away / "sub").rename(made.images / "sub")
    (made.away / "sub").symlink_to(made.images / "sub")
    assert [line.split(": is")[1] for line in stayed(made)] == [
        f" the same file as away/sub/{name}, by a link or a mount; it stays" for name in ("b.png", "a.png")
    ]
    assert made.contents() == made.before


def undo_with(mount: str, made: Set) -> int:
    """How many files undo leaves where they are, in a process that sees this mount."""
    here = made.file.parent
    enter = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*enter, "true"], cwd=here, check=False).returncode:
        pytest.skip("no mounts can be made here")
    undo = (
        "import sys; from pathlib import Path; from embedlab_core.analysis.moves import undo_plan;"
        "print(len(undo_plan(Path(sys.argv[1])).stayed))"
    )
    done = subprocess.run(
        [*enter, sys.executable, "-c", undo, made.file],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_undo_with_one_file_mounted_over_its_old_place_does_not_take_it_away(made: Set) -> None:
    apply_plan(made.file, made.away)
    assert undo_with("touch images/d.png && mount --bind away/d.png images/d.png", made) == 1
    assert files_under(made.away) == {"d.png": made.before["d.png"]}
    assert made.contents() == {**made.before, "d.png": b""}


@pytest.mark.parametrize("mount", ["bind away images", "bind images away", "overlay away images"])
def test_undo_with_one_folder_mounted_over_the_other_takes_nothing_away(made: Set, mount: str) -> None:
    apply_plan(made.file, made.away)
    kind, source, target = mount.split()
    here = made.file.parent
    shutil.copytree(here / target, here / source, dirs_exist_ok=True)
    for folder in ("upper", "work"):
        (here / folder).mkdir()
    # What a kill leaves at the last step of a move to another disk.
    os.link(here / source / "d.png", here / source / temporary(made, "d.png"))
    ways = {
        "bind": f"mount --bind {source} {target}",
        "overlay": f"mount -t overlay o -o lowerdir={source},upperdir=upper,workdir=work {target}",
    }
    assert undo_with(ways[kind], made) == 3
    assert files_under(here / source) == {**made.before, temporary(made, "d.png"): made.before["d.png"]}
    assert files_under(here / "upper") == {}


@pytest.mark.parametrize("linked", ["images to away", "away to images"])
def test_a_file_put_back_by_hand_as_a_link_stays_and_so_does_what_it_leads_to(made: Set, linked: str) -> None:
    apply_plan(made.file, made.away)
    home, away = made.images / "d.png", made.away / "d.png"
    if linked == "images to away":
        home.symlink_to(away)
    else:
        away.rename(home)
        away.symlink_to(home)
    only_a_link = "is only a link to away/d.png, where the file still is; remove the link first"
    is_back = "is back already; what is at away/d.png now stays"
    assert stayed(made) == [f"images/d.png: {only_a_link if linked == 'images to away' else is_back}"]
    assert home.read_bytes() == away.read_bytes() == made.before["d.png"]


def test_of_two_separate_copies_undo_takes_neither_away_and_of_two_hard_links_one(made: Set) -> None:
    """One of two equal files may be another view of the other, where the system shows the two as different."""
    apply_plan(made.file, made.away)
    shutil.copy2(made.away / "d.png", made.images / "d.png")
    os.link(made.away / "sub" / "a.png", made.images / "sub" / "a.png")
    assert stayed(made) == ["images/d.png: is back already; another copy of it stays at away/d.png"]
    assert made.contents() == made.before
    assert files_under(made.away) == {"d.png": made.before["d.png"]}


def temporary(made: Set, name: str) -> str:
    key = f"0/{name}/{hashlib.sha256(made.before[name]).hexdigest()}"
    return f".embedlab-moving-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


@pytest.mark.parametrize("length", [0, 77, 5000])
def test_a_part_under_our_temporary_name_is_cleared(made: Set, length: int) -> None:
    apply_plan(made.file, made.away)
    for folder in (made.images, made.away):
        (folder / temporary(made, "d.png")).write_bytes(made.before["d.png"][:length])
    assert stayed(made) == []
    assert made.contents() == made.before
    assert files_under(made.away) == {}


def test_a_file_with_our_temporary_name_and_other_bytes_stays(made: Set) -> None:
    apply_plan(made.file, made.away)
    foreign = made.images / temporary(made, "d.png")
    foreign.write_bytes(b"precious")
    reason = "has the name of an unfinished copy but other bytes; it stays"
    assert stayed(made) == [f"images/{foreign.name}: {reason}"]
    assert foreign.read_bytes() == b"precious"
    assert files_under(made.away) == {"d.png": made.before["d.png"]}


@pytest.mark.parametrize("folder", ["images", "away"])
def test_such_a_file_stays_also_beside_one_that_was_put_back_by_hand(made: Set, folder: str) -> None:
    apply_plan(made.file, made.away)
    (made.away / "d.png").rename(made.images / "d.png")
    foreign = made.file.parent / folder / temporary(made, "d.png")
    foreign.write_bytes(b"precious")
    assert len(stayed(made)) == 1
    assert foreign.read_bytes() == b"precious"


@pytest.mark.parametrize("folder", ["images", "away"])
def test_bytes_that_lie_only_under_our_temporary_name_are_brought_back(made: Set, folder: str) -> None:
    apply_plan(made.file, made.away)
    (made.away / "d.png").rename(made.file.parent / folder / temporary(made, "d.png"))
    assert stayed(made) == []
    assert made.contents() == made.before


def test_nothing_is_put_in_the_place_of_a_folder_that_is_not_there(made: Set) -> None:
    apply_plan(made.file, made.away)
    made.images.rename(made.images.with_name("unmounted"))
    assert stayed(made)[0] == "away/sub/b.png: has no way back, as images is not there"
    assert not made.images.exists()
    assert len(files_under(made.away)) == 3


def test_a_folder_that_is_gone_is_made_again(made: Set) -> None:
    apply_plan(made.file, made.away)
    (made.images / "sub").rmdir()
    assert stayed(made) == []
    assert made.contents() == made.before


@pytest.fixture
def other_disk() -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_permissions_times_and_long_names_survive_another_disk_and_back(made: Set, other_disk: Path) -> None:
    name = "ü" * 125 + ".png"
    long = made.images / name
    long.write_bytes(b"long")
    long.chmod(0o640)
    os.utime(long, ns=(1, 1_234_567_890_123_456_789))
    with suppress(OSError):
        os.setxattr(long, "user.note", b"mine")
    kept = [long.stat().st_mode, long.stat().st_mtime_ns, long.stat().st_uid, os.listxattr(long)]
    group = PlannedGroup(made.planned("c.png"), "path", (made.planned(name),))
    save_plan(made.file, Plan((str(made.images),), (group,)))
    apply_plan(made.file, other_disk / "away")
    moved = (other_disk / "away" / name).stat()
    assert [moved.st_mode, moved.st_mtime_ns, moved.st_uid] == kept[:3]
    assert stayed(made) == []
    back = long.stat()
    assert [back.st_mode, back.st_mtime_ns, back.st_uid, os.listxattr(long)] == kept
    assert files_under(other_disk) == {}


def test_a_disk_that_is_full_stops_apply_without_a_part_and_can_be_undone(made: Set, other_disk: Path) -> None:
    limited = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from embedlab_core.analysis.moves import apply_plan\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "apply_plan(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    ran = run_python("-c", limited, made.file, other_disk / "away")
    assert "PlanAppliedError" in ran.stderr.splitlines()[-1]
    assert "sub/b.png: cannot be moved" in ran.stderr.splitlines()[-1]
    assert "File too large" in ran.stderr.splitlines()[-1]
    assert files_under(other_disk) == {}
    assert made.contents() == made.before
    assert stayed(made) == []
    assert load_plan(made.file).state == "planned"


def test_a_file_that_takes_the_new_name_at_the_last_moment_stays(made: Set) -> None:
    """An audit hook makes it between the checks and the link."""
    late = (
        "import sys; from pathlib import Path\n"
        "from embedlab_core.analysis.moves import apply_plan\n"
        "def hook(event, arguments):\n"
        "    if event == 'os.link' and arguments[1].endswith('d.png'): Path(arguments[1]).write_bytes(b'precious')\n"
        "sys.addaudithook(hook)\n"
        "apply_plan(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    ran = run_python("-c", late, made.file, made.away)
    assert "d.png: cannot be moved to" in ran.stderr.splitlines()[-1]
    assert (made.away / "d.png").read_bytes() == b"precious"
    assert stayed(made) == []
    assert made.contents() == made.before
    assert files_under(made.away) == {"d.png": b"precious"}


def test_a_planned_file_that_is_hard_linked_with_another_is_refused(made: Set) -> None:
    plan = load_plan(made.file)
    (made.images / "d.png").unlink()
    os.link(made.images / "c.png", made.images / "d.png")
    group = PlannedGroup(made.planned("c.png"), "path", (made.planned("d.png"),))
    save_plan(made.file, Plan(plan.folders, (group,)))
    with pytest.raises(DuplicatesError, match=r"one file under two names: .*/images/d\.png$"):
        apply_plan(made.file, made.away)


def test_files_of_two_folders_with_one_name_do_not_meet(made: Set) -> None:
    second = made.file.parent / "second" / "images"
    shutil.copytree(made.images, second)
    moves = (made.planned("d.png"), replace(made.planned("d.png"), folder=1))
    group = PlannedGroup(made.planned("c.png"), "path", moves)
    save_plan(made.file, Plan((str(made.images), str(second)), (group,)))
    apply_plan(made.file, made.away)
    assert len(files_under(made.away)) == 2
    with pytest.raises(PlanAppliedError):
        apply_plan(made.file, second / "away")
    assert stayed(made) == []
    assert made.contents() == files_under(second) == made.before
    with pytest.raises(DuplicatesError, match=r"lies inside .*second/images"):
        apply_plan(made.file, second / "away")


@pytest.mark.parametrize("path", ["../c.png", "/etc/passwd", "sub/../../c.png", "", ".", "a\0b", "\ud800.png"])
def test_a_planned_path_that_is_none_in_the_images_folder_is_refused(made: Set, path: str) -> None:
    document = json.loads(made.file.read_text())
    document["groups"][0]["move"][0]["path"] = path
    made.file.write_text(json.dumps(document))
    with pytest.raises(DuplicatesError, match="plan"):
        apply_plan(made.file, made.away)
    document.update(state="applied", move_to=str(made.away))
    made.file.write_text(json.dumps(document))
    with pytest.raises(DuplicatesError, match="plan"):
        undo_plan(made.file)


def test_a_plan_of_the_old_format_is_undone(made: Set) -> None:
    apply_plan(made.file, made.away)
    plan = load_plan(made.file)
    document = {"format": 1, "images_dir": str(made.images), "state": "applied", "move_to": str(made.away)}
    groups = [
        {
            "keep": {"path": group.keep.path, "sha256": group.keep.sha256},
            "reason": "path",
            "move": [{"path": file.path, "sha256": file.sha256} for file in group.move],
        }
        for group in plan.groups
    ]
    made.file.write_text(json.dumps({**document, "groups": groups}))
    assert stayed(made) == []
    assert made.contents() == made.before


def test_the_command_names_what_stays_in_a_line_each(made: Set) -> None:
    apply = run_cli("dedupe", "--plan", made.file, "--apply", "--move-to", made.away)
    assert (apply.code, apply.stderr) == (0, "")
    assert apply.stdout == f"3 images moved to {made.away}; undo with: embedlab dedupe --undo {made.file}\n"
    again = run_cli("dedupe", "--plan", made.file, "--apply", "--move-to", made.away)
    assert again.code == 1
    assert again.error.endswith(f"undo it first: embedlab dedupe --undo {made.file}")
    new = made.images / "d.png"
    new.write_bytes(b"")
    partly = run_cli("dedupe", "--undo", made.file)
    assert partly.code == 1
    assert partly.stderr.splitlines()[0] == (
        f"{new}: is not the file that was moved; it stays, and so does {made.away / 'd.png'}"
    )
    assert "2 images are back, 1 is not and is named above" in partly.error
    new.unlink()
    whole = run_cli("dedupe", "--undo", made.file)
    assert (whole.code, whole.stdout, whole.stderr) == (0, f"3 images are back in {made.images}\n", "")


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
