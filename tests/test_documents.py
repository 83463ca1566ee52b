"""The decoder of documents: the right value, or ValueError that names the field."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta

from embedlab_core.documents import Cosine, FileName, Natural, PathText, Share, Text, parse_document, read_document


@dataclasses.dataclass(frozen=True, slots=True)
class _Part:
    path: PathText
    rows: Natural


@dataclasses.dataclass(frozen=True, slots=True)
class _Document:
    format: Literal[1]
    name: Text
    parts: tuple[_Part, ...] = ()
    kind: Literal["a", "b"] = "a"
    share: Share = 0.5
    low: Cosine = 0.0
    high: Cosine = 0.0
    file: FileName = "x"
    side: Annotated[int, Meta(ge=1, le=4096)] = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_a_document_becomes_a_dataclass() -> None:
    text = '{"format": 1, "name": "é", "parts": [{"path": "a/\\udc80.png", "rows": 3}], "share": 1, "later": [{}]}'
    found = parse_document(text, _Document)
    assert found == _Document(1, "é", (_Part("a/\udc80.png", 3),), share=1.0)
    assert os.fsencode(found.parts[0].path) == b"a/\x80.png"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('"name": 5', "name: expected str, got int"),
        ('"name": null', "name: expected str, got null"),
        ('"name": "\\udc80"', "name: expected text of whole characters"),
        ('"name": "\\ud800"', "name: expected text of whole characters"),
        ('"parts": {}', "parts: expected array, got object"),
        ('"parts": [[]]', "parts[0]: expected object, got array"),
        ('"parts": [{"path": "a", "rows": true}]', "parts[0].rows: expected int, got bool"),
        ('"parts": [{"path": "a", "rows": 1.0}]', "parts[0].rows: expected int, got float"),
        ('"parts": [{"path": "a", "rows": -1}]', "parts[0].rows: expected int >= 0"),
        ('"parts": [{"path": "a", "rows": 9223372036854775808}]', "parts[0].rows: expected int <= 9223372036854775807"),
        ('"parts": [{"path": "a"}]', "parts[0]: object missing required field rows"),
        ('"parts": [{"path": "\\ud800", "rows": 1}]', "parts[0].path: expected a path"),
        ('"parts": [{"path": "\\udd00", "rows": 1}]', "parts[0].path: expected a path"),
        ('"parts": [{"path": "a\\u0000b", "rows": 1}]', "parts[0].path: expected a path"),
        ('"file": ""', "file: expected the name of a file"),
        ('"file": ".."', "file: expected the name of a file"),
        ('"file": "../x"', "file: expected the name of a file"),
        ('"file": "a\\\\b"', "file: expected the name of a file"),
        ('"share": 1.5', "share: expected float <= 1.0"),
        ('"share": NaN', "NaN is no finite number"),
        ('"share": -Infinity', "-Infinity is no finite number"),
        ('"share": 1e999', "1e999 is no finite number"),
        (f'"share": 1{400 * "0"}', "share: number out of range"),
        (f'"share": 1{5000 * "0"}', "Exceeds the limit"),
        ('"share": "1"', "share: expected float, got str"),
        ('"low": 1, "high": 0', "low is above high"),
        ('"side": 4097', "side: expected int <= 4096"),
        ('"format": 2', "format: invalid enum value 2"),
        ('"kind": "' + 5000 * "x" + '"', "invalid enum value 'xxx"),
        ('"share": 1, "share": 0', "field 'share' is there twice"),
        (f'"parts": {100_000 * "["}', "nested too deeply"),
    ],
)
def test_any_other_value_is_named(fields: str, message: str) -> None:
    good = {"format": "1", "name": '"x"'}
    rest = "".join(f', "{key}": {value}' for key, value in good.items() if f'"{key}": ' not in fields)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_document(f"{{{fields}{rest}}}", _Document)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 250


@pytest.mark.parametrize("text", ["", "nothing", "[]", "null", "5", '{"format": 1', '{"format": 1, "name": "x"} {}'])
def test_what_is_no_document_of_the_kind(text: str) -> None:
    with pytest.raises(ValueError):
        parse_document(text, _Document)


def test_another_format_is_named_before_its_fields_are() -> None:
    assert parse_document('{"format": 3, "path": "a", "rows": 1}', _Part, format=3) == _Part("a", 1)
    with pytest.raises(ValueError, match="format 3, but this embedlab reads format 2"):
        parse_document('{"format": 3}', _Part, format=2)
    with pytest.raises(ValueError, match="missing required field format"):
        parse_document('{"path": "a", "rows": 1}', _Part, format=2)


def test_reading_a_file(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    with pytest.raises(FileNotFoundError):
        read_document(file, _Document)
    with pytest.raises(IsADirectoryError):
        read_document(tmp_path, _Document)
    # Some editors put a mark before the text.
    file.write_bytes(b'\xef\xbb\xbf{"format": 1, "name": "x"}')
    assert read_document(file, _Document).name == "x"
    file.write_bytes(b'{"format": 1, "name": "\xff"}')
    with pytest.raises(ValueError, match="byte 0xff"):
        read_document(file, _Document)
