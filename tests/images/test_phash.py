"""A perceptual hash stays close for copies and far for other pictures."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from embedlab_core.images.phash import phash, turned_hashes
from tests.support import picture


def distance(left: Image.Image, right: Image.Image) -> int:
    return (phash(np.asarray(left)) ^ phash(np.asarray(right))).bit_count()


def test_copies_differ_in_few_bits() -> None:
    image = picture(1, (224, 224))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    assert distance(image, image.copy()) == 0
    assert distance(image, Image.open(buffer)) <= 4
    assert distance(image, image.resize((97, 61))) <= 4
    assert distance(image, ImageEnhance.Brightness(image).enhance(0.8)) <= 4


def test_other_pictures_differ_in_many_bits() -> None:
    images = [picture(seed, (224, 224)) for seed in range(8)]
    distances = [distance(left, right) for place, left in enumerate(images) for right in images[:place]]
    assert min(distances) >= 12


def test_half_of_the_bits_of_a_picture_are_set() -> None:
    for seed in range(8):
        assert 30 <= phash(np.asarray(picture(seed, (224, 224)))).bit_count() <= 33


def test_a_flat_image_has_a_hash_that_fits_in_64_bits() -> None:
    flat: npt.NDArray[np.uint8] = np.full((32, 32, 3), 200, np.uint8)
    assert 0 <= phash(flat) < 2**64


def test_turned_hashes_are_near_those_of_the_turned_pictures_and_upright_comes_first() -> None:
    for seed in range(8):
        pixels = np.asarray(picture(seed, (224, 224)))
        turned = turned_hashes(np.array([phash(pixels)], np.uint64))[:, 0].tolist()
        assert turned[0] == phash(pixels)
        for turns in range(4):
            for view in (np.rot90(pixels, turns), np.rot90(pixels, turns)[:, ::-1]):
                wanted = phash(np.ascontiguousarray(view))
                assert min((wanted ^ hash_).bit_count() for hash_ in turned) <= 8
