"""What may move, and what a person has to look at."""

import io
import logging
import os
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

from embedlab_core.analysis.duplicates import STRICT, find_duplicates
from embedlab_core.analysis.keeper import Policy
from embedlab_core.analysis.originals import copy_signs, look_at
from embedlab_core.analysis.overlay import difference
from embedlab_core.analysis.plan import Plan, load_plan, save_plan
from embedlab_core.analysis.planning import make_plan
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import DuplicatesError
from embedlab_core.images.decode import decode_picture
from embedlab_core.index.reader import IndexReader
from tests.support import ASSETS, as_ordinary_user, embed_images, picture


def invoice(number: int, name: str, amount: str) -> Image.Image:
    """A page as an office prints it: all of them alike but for a few words."""
    page = Image.new("RGB", (850, 1100), "white")
    draw = ImageDraw.Draw(page)
    large, small = ImageFont.load_default(34), ImageFont.load_default(16)
    draw.text((60, 60), "INVOICE", "black", large)
    draw.text((60, 130), f"No. 2026-{number:04d}", "black", small)
    draw.text((60, 170), f"Bill to: {name}", "black", small)
    rng = random.Random(1)
    for line in range(18):
        draw.line((60, 250 + 34 * line, 790, 250 + 34 * line), "#999999")
        draw.text((70, 256 + 34 * line), f"Item {line + 1}  service {rng.randint(100, 999)}", "black", small)
        draw.text((680, 256 + 34 * line), f"{rng.randint(10, 99)}.00", "black", small)
    draw.text((600, 900), f"Total  {amount}", "black", small)
    return page


@pytest.mark.parametrize(
    "other",
    [(118, "Ada Novak", "1,240.00"), (117, "Ben Okoro", "1,240.00"), (117, "Ada Novak", "1,340.00")],
)
def test_pages_that_differ_in_a_digit_or_a_name_are_no_copies(other: tuple[int, str, str]) -> None:
    one = invoice(117, "Ada Novak", "1,240.00")
    assert difference(one, invoice(*other)) == "they differ in a detail"
    assert difference(one, one.resize((600, 776), Image.Resampling.LANCZOS)) is None


COPIES = {
    "smaller": lambda image: image.resize((image.width // 2, image.height // 2)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "cropped": lambda image: ImageOps.crop(image, image.width // 30),
    "bordered": lambda image: ImageOps.expand(image, image.width // 15, "white"),
}


@pytest.mark.parametrize("kind", COPIES)
def test_an_honest_copy_of_a_photograph_is_one(kind: str) -> None:
    photo = decode_picture((ASSETS / "images" / "015.jpg").read_bytes(), 400)
    assert difference(photo, COPIES[kind](photo)) is None


@pytest.mark.parametrize("colour", ["white", "black"])
@pytest.mark.parametrize("name", ["015.jpg", "034.jpg"])
def test_a_picture_with_a_border_around_it_is_not_the_original(colour: str, name: str) -> None:
    original = Image.open(ASSETS / "images" / name).convert("RGB")
    looks = []
    for image in (ImageOps.expand(original, 20, colour), original):
        file = io.BytesIO()
        image.save(file, "PNG")
        looks.append(look_at(file.getvalue()))
    signs = copy_signs(looks)
    assert signs[0] > signs[1]


def test_a_thing_on_a_plain_ground_has_no_border() -> None:
    page = Image.new("RGB", (400, 400), "white")
    page.paste(picture(1, (200, 200)).rotate(45, expand=True, fillcolor="white"), (60, 60))
    file = io.BytesIO()
    page.save(file, "PNG")
    look = look_at(file.getvalue())
    assert look is not None
    assert not look.framed


def test_what_shows_more_than_the_one_that_is_kept_is_no_copy_of_it() -> None:
    photo = decode_picture((ASSETS / "images" / "015.jpg").read_bytes(), 400)
    cropped = ImageOps.crop(photo, photo.width // 12)
    assert difference(photo, cropped) is None
    assert difference(cropped, photo) is not None


def test_the_same_shapes_in_another_colour_are_no_copy() -> None:
    photo = decode_picture((ASSETS / "images" / "015.jpg").read_bytes(), 400)
    luma, blue, red = photo.convert("YCbCr").split()
    assert difference(photo, Image.merge("YCbCr", (luma, red, blue)).convert("RGB")) == "they differ in colour"


def planned(tmp_path: Path, tiny: OnnxEncoder, policy: Policy = Policy()) -> Plan:  # noqa: B008
    embed_images(tmp_path / "images", tmp_path / "index", tiny)
    return plan_of(tmp_path, policy)


def plan_of(tmp_path: Path, policy: Policy) -> Plan:
    index = IndexReader.open(tmp_path / "index")
    return make_plan(index, find_duplicates(index, STRICT, explain=False).groups, policy)


def paths(plan: Plan) -> list[str]:
    return sorted(file.path for file in plan.moves)


def save(tmp_path: Path, names: Sequence[str]) -> Path:
    folder = tmp_path / "images"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(1).save(folder / name)
    return folder


def test_links_are_one_file_and_the_rest_is_planned(
    tmp_path: Path, tiny: OnnxEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save(tmp_path, ["a.png", "b.png"])
    os.link(folder / "a.png", folder / "c.png")
    (folder / "d.png").symlink_to("b.png")
    for name in ("x.png", "y.png"):
        picture(9).save(folder / name)
    with caplog.at_level(logging.WARNING):
        plan = planned(tmp_path, tiny)
    # b.png has a link, which moving it would break.
    assert paths(plan) == ["y.png"]
    assert "2 files" in caplog.text
    assert "c.png" in caplog.text


def test_changed_and_missing_files_are_left_out_and_named(
    tmp_path: Path, tiny: OnnxEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save(tmp_path, ["a.png", "b.png", "c.png", "d.png", "e.png"])
    embed_images(folder, tmp_path / "index", tiny)
    (folder / "b.png").unlink()
    (folder / "c.png").write_bytes(b"other")
    os.utime(folder / "d.png", (1, 1))
    with caplog.at_level(logging.WARNING):
        plan = plan_of(tmp_path, Policy())
    assert {"a.png", "d.png", "e.png"} == {*paths(plan), plan.groups[0].keep.path}
    assert "b.png" in caplog.text
    assert "c.png" in caplog.text


def test_nothing_in_a_protected_folder_moves(tmp_path: Path, tiny: OnnxEncoder) -> None:
    folder = save(tmp_path, ["a.png", "keep/b.png", "keep/c.png", "z.png"])
    plan = planned(tmp_path, tiny, Policy(protect=((folder / "keep").resolve(),)))
    assert paths(plan) == ["a.png", "z.png"]
    assert plan.groups[0].reason == "oldest" or plan.groups[0].keep.path.startswith("keep/")
    preferred = plan_of(tmp_path, Policy(prefer=((folder / "keep").resolve(),)))
    assert preferred.groups[0].keep.path.startswith("keep/")


def test_pages_behind_the_first_one_count_too(tmp_path: Path, tiny: OnnxEncoder) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, second in (("a.tif", 5), ("b.tif", 6)):
        picture(1).save(folder / name, save_all=True, append_images=[picture(second)])
    plan = planned(tmp_path, tiny)
    assert paths(plan) == []
    assert "holds 2 pictures" in plan.look_at[0].reason


def test_a_folder_that_cannot_be_read_costs_only_its_own_files(tiny: OnnxEncoder) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        save(root, ["a.png", "b.png", "shut/c.png"])
        with as_ordinary_user():
            embed_images(root / "images", root / "index", tiny)
        (root / "images" / "shut").chmod(0)
        with as_ordinary_user():
            plan = plan_of(root, Policy())
        (root / "images" / "shut").chmod(0o755)
        assert paths(plan) == ["b.png"]


def test_what_is_no_copy_of_the_keeper_stays_once(tmp_path: Path, tiny: OnnxEncoder) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, page in (("a", invoice(117, "Ada Novak", "1,240.00")), ("b", invoice(118, "Ben Okoro", "1,340.00"))):
        for copy in range(3):
            page.save(folder / f"{name}{copy}.png")
    plan = planned(tmp_path, tiny)
    assert paths(plan) == ["a1.png", "a2.png", "b1.png", "b2.png"]
    assert [group.keep.path for group in plan.groups] in (["a0.png", "b0.png"], ["b0.png", "a0.png"])
    (pair,) = plan.look_at
    assert {pair.keep.path, pair.file.path} == {"a0.png", "b0.png"}


def test_a_plan_of_one_folder_in_the_old_format_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(
        '{"format": 1, "state": "applied", "images_dir": "/i", "move_to": "/m", "groups": [{"keep": {"path": "a",'
        ' "sha256": "00"}, "reason": "path", "move": [{"path": "b", "sha256": "00"}]}]}'
    )
    plan = load_plan(tmp_path / "p.json")
    assert (plan.folders, plan.move_to) == (("/i",), "/m")
    assert plan.place(plan.moves[0]) == Path("/i/b")
    save_plan(tmp_path / "q.json", plan)
    assert load_plan(tmp_path / "q.json") == plan


@pytest.mark.parametrize(
    "change",
    [
        ('"move_to": null', '"move_to": 5'),
        ('"groups": []', '"groups": {}'),
        ('"groups": []', '"groups": [[]]'),
        ('"groups": []', '"groups": [{"keep": {"folder": 7, "path": "a", "sha256": ""}, "reason": "", "move": []}]'),
        ('"groups": []', '"groups": [{"keep": {"folder": 0, "path": ["a"], "sha256": ""}, "reason": "", "move": []}]'),
        ('"groups": []', '"groups": [{"keep": {"folder": 0, "path": "../a", "sha256": ""}, "reason": "", "move": []}]'),
        ('"/i"', '"i"'),
        ('"planned"', '"applied"'),
    ],
)
def test_a_plan_that_makes_no_sense_is_named(tmp_path: Path, change: tuple[str, str]) -> None:
    text = '{"format": 2, "folders": ["/i"], "groups": [], "look_at": [], "state": "planned", "move_to": null}'
    (tmp_path / "p.json").write_text(text)
    assert load_plan(tmp_path / "p.json").groups == ()
    (tmp_path / "p.json").write_text(text.replace(*change))
    with pytest.raises(DuplicatesError, match=r"p\.json: not a readable plan"):
        load_plan(tmp_path / "p.json")


def test_folders_of_one_name_do_not_mix_where_they_move_to() -> None:
    plan = Plan(("/a/photos", "/b/Photos", "/c/x"), ())
    names = {plan._names[number].casefold() for number in range(3)}
    assert len(names) == 3
    assert np.unique(list(names)).size == 3
