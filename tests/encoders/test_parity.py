"""An exported model gives the vectors that open_clip gives, whatever the picture and whatever stands beside it."""
# ruff: noqa: RUF001 (letters that look like others are what these texts are for)

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.images.decode import DCT_GAP, decode_image, to_rgb
from tests.encoders.conftest import Pair
from tests.support import Vectors, picture

# (mode, file format, width, height). The JPEGs are too small to be decoded at a reduced scale.
PICTURES = [
    ("RGB", "PNG", 1, 1),
    ("RGB", "PNG", 2, 3),
    ("RGB", "PNG", 31, 33),
    ("RGB", "PNG", 224, 224),
    ("RGB", "PNG", 225, 223),
    ("RGB", "PNG", 640, 480),
    ("RGB", "PNG", 481, 640),
    ("RGB", "BMP", 3000, 2000),
    ("RGB", "BMP", 1200, 30),
    ("RGB", "BMP", 30, 1200),
    ("RGB", "JPEG", 110, 70),
    ("RGB", "WEBP", 320, 240),
    ("RGB", "TIFF", 257, 129),
    ("L", "PNG", 1, 50),
    ("L", "PNG", 100, 80),
    ("L", "PNG", 640, 427),
    ("L", "JPEG", 90, 120),
    ("1", "PNG", 200, 100),
    ("LA", "PNG", 120, 90),
    ("RGBA", "PNG", 64, 64),
    ("RGBA", "PNG", 300, 200),
    ("RGBA", "WEBP", 900, 30),
    ("P", "PNG", 120, 80),
    ("P", "GIF", 300, 301),
    ("CMYK", "TIFF", 200, 150),
    ("CMYK", "JPEG", 100, 75),
    ("I;16", "PNG", 100, 60),
    ("I;16", "PNG", 400, 300),
    ("I", "TIFF", 150, 100),
    ("F", "TIFF", 90, 70),
]

PROMPTS = [
    *("a photo of a cat", "login screen", "a red button", "bar chart", "A Sketch Of A House", "the brick wall"),
    *("x", "?", "2024", "3.14159", "it's we're they'll I'd", "don't STOP", "e-mail@example.org", "C++ & C#", "a_b_c"),
    *("Tom &amp; Jerry", "&lt;b&gt;bold&lt;/b&gt;", "naïve café", "Grüße aus Köln", "¿Dónde está?", "Привет, мир"),
    *("猫の写真", "登录页面", "로그인 화면", "صفحة تسجيل الدخول", "דף כניסה", "बिल्ली", "ภาพแมว", "Γάτα", "ქართული"),
    *(
        "😀",
        "👩‍👩‍👧 family",
        "🇫🇷 flag",
        "→ arrow ←",
        "½ cup",
        "x² + y²",
        "“quoted”",
        "…",
        "a\tb\nc",
        "  spaced   out  ",
    ),
    *("schÃ¶n", "ﬁne ligature", "ＦＵＬＬ width", "e\u0301 combining", "one " * 40, "antidisestablishmentarianism"),
    *("(parentheses)", "50% off!", "#hashtag", "/usr/bin/env"),
]


def encoded(mode: str, file_format: str, width: int, height: int, seed: int) -> bytes:
    image = picture(seed, (width, height))
    if mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(picture(seed + 1000, (width, height)).convert("L"))
    elif mode in ("I;16", "I"):
        gray = np.asarray(image.convert("L"), dtype=np.int32) * 257
        image = Image.fromarray(gray.astype(np.uint16) if mode == "I;16" else gray)
    elif mode == "F":
        image = Image.fromarray(np.asarray(image.convert("L"), dtype=np.float32) / 255)
    else:
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    return file.getvalue()


def large_jpeg(seed: int) -> bytes:
    """1600 x 1200, with detail at every scale as a photograph has it: the finer, the fainter."""
    rng = np.random.default_rng(seed)
    total = np.zeros((1200, 1600, 3), np.float32)
    for octave in range(2, 9):
        coarse = rng.integers(0, 256, (3 << octave, 4 << octave, 3), dtype=np.uint8)
        total += np.asarray(Image.fromarray(coarse).resize((1600, 1200)), np.float32) / (1 << octave)
    file = io.BytesIO()
    Image.fromarray((total / total.max() * 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return [encoded(*spec, seed=number) for number, spec in enumerate(PICTURES)]


@pytest.fixture(scope="module")
def large_jpegs() -> list[bytes]:
    return [large_jpeg(seed) for seed in range(3)]


def pixels_of(pair: Pair, files: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    return np.stack([decode_image(data, pair.encoder.spec.pixels).pixels for data in files])


def open_clip_images(pair: Pair, files: Sequence[bytes]) -> Vectors:
    """What open_clip makes of the pictures as RGB. embedlab turns every mode into RGB before it resizes, transparency
    on white and 16 bits scaled to 8; open_clip alone would put black under it, clip at 255, and resize a palette's
    indices."""
    import torch

    images = [to_rgb(Image.open(io.BytesIO(data))) for data in files]
    with torch.inference_mode():
        vectors = pair.model.encode_image(torch.stack([pair.transform(image) for image in images]), normalize=True)
    return np.asarray(vectors)


def open_clip_texts(pair: Pair, prompts: Sequence[str]) -> Vectors:
    import torch

    with torch.inference_mode():
        return np.asarray(pair.model.encode_text(pair.tokenizer(prompts), normalize=True))


def cosines(a: Vectors, b: Vectors) -> npt.NDArray[np.float32]:
    return np.asarray((a * b).sum(axis=1))


def assert_spread(vectors: Vectors) -> None:
    """Agreement proves something only where different inputs give different vectors."""
    others = (vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)]
    assert np.median(others) < 0.95


def test_images_of_every_mode_and_size_agree_with_open_clip(pair: Pair, files: list[bytes]) -> None:
    expected = open_clip_images(pair, files)
    assert_spread(expected)
    agreement = cosines(pair.encoder.encode_images(pixels_of(pair, files)), expected)
    assert dict(zip(PICTURES, agreement, strict=True)) == {spec: pytest.approx(1, abs=1e-4) for spec in PICTURES}


def test_large_jpegs_decoded_at_a_reduced_scale_agree_with_open_clip(pair: Pair, large_jpegs: list[bytes]) -> None:
    assert pair.encoder.spec.pixels.size * DCT_GAP * 2 < 1200
    expected = open_clip_images(pair, large_jpegs)
    assert_spread(expected)
    assert cosines(pair.encoder.encode_images(pixels_of(pair, large_jpegs)), expected).min() >= 0.999


def test_prompts_agree_with_open_clip(pair: Pair) -> None:
    expected = open_clip_texts(pair, PROMPTS)
    assert_spread(expected)
    agreement = cosines(pair.encoder.encode_texts(PROMPTS).vectors, expected)
    assert dict(zip(PROMPTS, agreement, strict=True)) == {prompt: pytest.approx(1, abs=1e-4) for prompt in PROMPTS}


def test_prompts_that_were_cut_are_named(pair: Pair) -> None:
    assert pair.encoder.encode_texts(["a cat", "one " * 100]).truncated == ("one " * 100,)


def test_vectors_do_not_depend_on_the_batch(pair: Pair, files: list[bytes]) -> None:
    pixels = pixels_of(pair, files)[:8]
    together = pair.encoder.encode_images(pixels)
    for size in (1, 3):
        parts = [pair.encoder.encode_images(pixels[start : start + size]) for start in range(0, 8, size)]
        assert np.array_equal(np.concatenate(parts), together), f"batches of {size}"
    alone = [pair.encoder.encode_texts([prompt]).vectors for prompt in PROMPTS[:3]]
    assert np.array_equal(np.concatenate(alone), pair.encoder.encode_texts(PROMPTS[:3]).vectors)


def test_query_vectors_do_not_depend_on_the_other_queries(pair: Pair, files: list[bytes]) -> None:
    """A search encodes with another session, whose sums would differ between one image and three."""
    encoder = OnnxEncoder(pair.encoder.spec)
    pixels = pixels_of(pair, files[4:7])
    alone = [encoder.encode_images(image[None]) for image in pixels]
    assert np.array_equal(np.concatenate(alone), encoder.encode_images(pixels))
