"""Files and prompts -> queries, in the order they were given."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import QueryError
from embedlab_core.search.cache import QueryCache
from embedlab_core.search.queries import image_queries, images_of, prompts_of, text_queries, warn_of_prompts
from tests.support import picture, save_pictures


def test_images_of_a_folder_come_by_name_without_subfolders(tmp_path: Path) -> None:
    save_pictures(tmp_path, [3, 1, 2])
    save_pictures(tmp_path / "sub", [4])
    (tmp_path / "notes.txt").touch()
    assert images_of(str(tmp_path)) == [f"{tmp_path.as_posix()}/{name}.png" for name in ("001", "002", "003")]


def test_a_query_folder_without_images_or_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=f"{tmp_path.name}: no images here"):
        images_of(str(tmp_path))
    with pytest.raises(QueryError, match=r"nowhere: no such folder; .* --query-dir"):
        images_of(str(tmp_path / "nowhere"))


def test_prompts_are_lines_without_blanks_or_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes("\ufeffred\r\n\r\n  blue boat \n日本\n\n".encode())
    assert prompts_of(file) == ["red", "blue boat", "日本"]


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "no prompts here"), (b" \n\t\n", "no prompts here"), (b"\xff\xff", "UTF-8")]
)
def test_a_file_without_prompts_or_of_another_encoding_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "prompts.txt").write_bytes(content)
    with pytest.raises(QueryError, match=rf"prompts\.txt: .*{message}"):
        prompts_of(tmp_path / "prompts.txt")


def test_a_missing_prompt_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"nowhere\.txt: no such file"):
        prompts_of(tmp_path / "nowhere.txt")


def test_many_image_queries_keep_their_order_and_broken_ones_are_left_out(tmp_path: Path, tiny: OnnxEncoder) -> None:
    paths = []
    for number in range(70):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"broken") if number % 10 == 4 else picture(number).save(path)
        paths.append(str(path))
    queries, skipped = image_queries([*paths, str(tmp_path / "gone.png"), str(tmp_path)], Ensemble([tiny]))
    assert [query.name for query in queries] == [path for number, path in enumerate(paths) if number % 10 != 4]
    assert {skip.path for skip in skipped} == {*paths[4::10], str(tmp_path / "gone.png"), str(tmp_path)}
    assert all(skip.reason for skip in skipped)
    pixels = np.asarray(Image.open(paths[69]).resize((16, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(queries[-1].vector, tiny.encode_images(pixels[None])[0])


def test_a_query_image_that_a_model_sees_nothing_in_is_named_and_the_others_stay(
    tmp_path: Path, tiny: OnnxEncoder, other: OnnxEncoder
) -> None:
    save_pictures(tmp_path, range(3))
    Image.new("RGB", (20, 20), (128, 128, 128)).save(tmp_path / "001.png")
    paths = images_of(str(tmp_path))
    queries, (skip,) = image_queries(paths, Ensemble([tiny, other]))
    assert [query.name for query in queries] == [paths[0], paths[2]]
    assert (skip.path, skip.reason) == (paths[1], "model tiny gives it a vector of length 0")


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t"])
def test_an_empty_prompt_is_refused(tiny: OnnxEncoder, prompt: str) -> None:
    with pytest.raises(QueryError, match="empty prompt"):
        text_queries(["red", prompt], Ensemble([tiny]))


def test_a_prompt_that_is_not_valid_text_is_refused(tiny: OnnxEncoder) -> None:
    # What Python makes of a command line's bytes that are not UTF-8.
    with pytest.raises(QueryError, match="not valid UTF-8"):
        text_queries(["red caf\udce9"], Ensemble([tiny]))


def test_text_queries_keep_their_order_and_too_long_ones_are_told(tiny: OnnxEncoder) -> None:
    long = "red " * 9
    queries = text_queries(["blue", long, "red", "blue"], Ensemble([tiny]))
    assert [query.name for query in queries] == ["blue", long, "red", "blue"]
    assert [query.cut for query in queries] == [False, True, False, False]
    assert not any(query.unknown for query in queries)
    assert np.array_equal(queries[0].vector, queries[3].vector)
    assert np.abs(queries[1].vector - queries[2].vector).max() < 1e-6


@pytest.mark.parametrize("templates", [False, True])
def test_a_prompt_without_a_known_word_is_warned_of_from_the_cache_too(
    tiny: OnnxEncoder, tmp_path: Path, caplog: pytest.LogCaptureFixture, templates: bool
) -> None:
    ensemble, cache = Ensemble([tiny]), QueryCache(tmp_path, "tiny", tiny.spec.dim)
    for _ in range(2):
        caplog.clear()
        queries = text_queries(["red", "qwer zxcv", "red zxcv", "qwer zxcv"], ensemble, cache, templates)
        assert [query.unknown for query in queries] == [False, True, False, True]
        warn_of_prompts(queries, ensemble)
        told = [message for message in caplog.messages if "cut" not in message]
        assert told == ["qwer zxcv: model tiny knows no word of this prompt; its results mean nothing"]
