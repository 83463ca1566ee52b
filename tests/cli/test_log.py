"""--log-format json: every line on stderr is one object, whoever writes it."""

import json
from pathlib import Path

import pytest

from tests.support import picture, run_cli, run_python, save_pictures

Env = dict[str, str]


def test_lines_of_c_libraries_are_json_objects_too(tmp_path: Path, tiny_env: Env) -> None:
    images = tmp_path / "images"
    save_pictures(images, range(2))
    picture(5, (200, 200)).save(images / "cut.tiff", compression="tiff_adobe_deflate")
    damaged = bytearray((images / "cut.tiff").read_bytes())
    damaged[40:400] = b"\xaa" * 360
    (images / "cut.tiff").write_bytes(damaged)
    command = ["embed", "--images-dir", images, "--out", tmp_path / "index", "--backbone", "tiny"]
    text = run_cli(*command, env=tiny_env)
    assert any(line.startswith("ZIPDecode") for line in text.stderr.splitlines()), "libtiff has nothing to say"
    ran = run_cli(*command, "--log-format", "json", env=tiny_env)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert ran.code == 0
    assert all(set(line) == {"level", "message"} for line in lines)
    assert {line["level"] for line in lines if line["message"].startswith("ZIPDecode")} == {"warning"}
    assert len(lines) >= 3


def test_a_warning_of_numpy_is_one_line_as_asked(tmp_path: Path) -> None:
    program = "import numpy, click; from embedlab_core.cli.options import reports_errors\n"
    program += "import embedlab_core.cli.program as p\n"
    program += "@click.command()\n@reports_errors\ndef warn(): numpy.float32(1e38) * numpy.float32(10)\n"
    program += "p.main.add_command(warn); p._LazyGroup.get_command = click.Group.get_command; p.main()"
    text, as_json = (run_python("-c", program, "warn", *extra) for extra in ([], ["--log-format", "json"]))
    assert text.stderr == "Warning: overflow encountered in scalar multiply\n"
    assert json.loads(as_json.stderr) == {"level": "warning", "message": "overflow encountered in scalar multiply"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search"], "Missing option '--index'."),
        (["search", "--bogus", "1"], "No such option"),
        (["serach"], "No such command 'serach'"),
        (["search", "--index", "x"], "nothing to search for"),
        (["search", "--index", "x", "--q-text", "a", "--k", "none"], "Invalid value for '--k'"),
    ],
)
def test_wrong_usage_is_one_json_object(arguments: list[str], message: str) -> None:
    ran = run_cli(*arguments, "--log-format", "json")
    assert (ran.code, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    error = json.loads(line)
    assert error["level"] == "error"
    assert message in error["message"]
    assert "Usage: embedlab" in run_cli(*arguments).stderr
