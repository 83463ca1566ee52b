"""Ctrl-C, SIGTERM and SIGHUP: no traceback, the exit code that shells expect, and nothing lost that was encoded."""

import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedlab_core.cli.stop import Stopped, stopping
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.index.reader import IndexReader
from tests.support import ROOT, Ran, columns, embed_images, picture, run_python, save_pictures, vectors_of

Env = dict[str, str]

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"

# Runs the program and sends it a signal at its n-th import, counted from that of the module named first.
AT_IMPORT = """
import itertools, os, runpy, sys
first, moment, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
del sys.argv[1:4]
begun, left = False, itertools.count(moment, -1)
def watch(event, arguments):
    global begun
    if event == "import":
        begun = begun or arguments[0] == first
        if begun and next(left) == 0:
            os.kill(os.getpid(), number)
sys.addaudithook(watch)
runpy.run_path("embedlab.py", run_name="__main__")
"""

COMMANDS = {
    "embed": "--images-dir {images} --out {out}",
    "search": "--index {index} --q-text red",
    "analyze": "--index {index}",
    "label": "--index {index}",
    "quality": "--index {index}",
    "calibrate": "--index {index}",
    "check": "--index {index} {images}/000.png",
    "mark": "--index {index} --not-duplicate {images}/000.png {images}/001.png",
    "dedupe": "--index {index}",
    "models": "list",
    "bench": "ann --index {index}",
}


def run_stopped(first: str, moment: int, number: int, *arguments: str | Path, env: Env | None = None) -> Ran:
    return run_python("-c", AT_IMPORT, first, str(moment), str(number), *arguments, env=env)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_signal_while_the_program_starts_is_one_line(
    tiny_index: Path, tiny_env: Env, tmp_path: Path, command: str, number: signal.Signals
) -> None:
    places = {"index": str(tiny_index), "images": str(tiny_index.parent / "images"), "out": str(tmp_path / "out")}
    arguments = COMMANDS[command].format_map(places).split()
    moment = random.Random(f"{command}-{number}").randrange(200)
    ran = run_stopped("embedlab_core.cli.program", moment, number, command, *arguments, env=tiny_env)
    assert (ran.code, ran.stdout) == (CODES[number], "")
    assert re.fullmatch(r"stopped.*\n", ran.stderr), ran.stderr


def test_ctrl_c_at_the_first_import_of_all_is_no_traceback() -> None:
    ran = run_stopped("embedlab_core", 0, signal.SIGINT, "--help")
    assert (ran.code, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.parametrize("moment", [0, 50, 220])
def test_the_line_of_a_stopped_start_is_json_where_that_is_asked_for(tiny_index: Path, moment: int) -> None:
    arguments = ["analyze", "--index", tiny_index, "--log-format", "json"]
    ran = run_stopped("embedlab_core.cli.program", moment, signal.SIGTERM, *arguments)
    assert (ran.code, ran.stderr) == (143, '{"level": "error", "message": "stopped"}\n')


@pytest.mark.parametrize("seed", range(6))
def test_a_signal_at_any_time_is_no_traceback(tiny_index: Path, tiny_env: Env, seed: int) -> None:
    number = [signal.SIGINT, signal.SIGTERM][seed % 2]
    # Python itself prints a traceback when it is interrupted before it has come to our first line.
    program = "import runpy; print(flush=True); runpy.run_path('embedlab.py', run_name='__main__')"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "label", "--index", str(tiny_index)],
        cwd=ROOT,
        env={**os.environ, **tiny_env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0.02, 1.0))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    # It may have been done before.
    assert (process.returncode, stderr) in {(CODES[number], "stopped\n"), (0, "")}


@dataclass
class Terminal:
    """The program on a terminal of its own, and all that it has printed there."""

    process: "subprocess.Popen[bytes]"
    end: int
    shown: str = ""

    def read_until(self, pattern: str) -> None:
        while not re.search(pattern, self.shown):
            self.shown += os.read(self.end, 100_000).decode()

    def rest(self) -> str:
        try:
            while data := os.read(self.end, 100_000):
                self.shown += data.decode()
        except OSError:  # EIO: the other end is closed.
            pass
        return self.shown


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    save_pictures(folder, range(250))
    return folder


@pytest.fixture
def terminal(images: Path, tmp_path: Path, tiny_env: Env) -> Iterator[Terminal]:
    """An embed that runs on a terminal and has encoded some images."""
    near, far = pty.openpty()
    command = ["embed", "--images-dir", images, "--out", tmp_path / "out", "--backbone", "tiny", "--batch-size", "1"]
    process = subprocess.Popen(
        [sys.executable, "embedlab.py", *map(str, command), "--workers", "1"],
        cwd=ROOT,
        env={**os.environ, **tiny_env},
        stdin=far,
        stdout=far,
        stderr=far,
        start_new_session=True,
        # It becomes the session's terminal.
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509
    )
    os.close(far)
    shown = Terminal(process, near)
    shown.read_until(r"[1-9]\d*/250")
    yield shown
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", CODES)
def test_a_stopped_embed_keeps_what_is_encoded_says_so_and_goes_on(
    terminal: Terminal, images: Path, tmp_path: Path, tiny: OnnxEncoder, number: signal.Signals
) -> None:
    terminal.process.send_signal(number)
    terminal.process.send_signal(number)  # Again, while the first is obeyed.
    shown = terminal.rest()
    assert terminal.process.wait(timeout=60) == CODES[number]
    os.close(terminal.end)
    assert "Traceback" not in shown
    assert shown.rindex(SHOW) > shown.rindex(HIDE)
    said = re.search(r"stopped: (\d+) images are safe in \S+, (\d+) are still to do; the same command goes on", shown)
    assert said is not None, shown
    safe = len(columns(IndexReader.open(tmp_path / "out")))
    assert 0 < safe < 250
    assert (int(said[1]), int(said[2])) == (safe, 250 - safe)
    assert list((tmp_path / "out").rglob(".tmp-*")) == []
    report = embed_images(images, tmp_path / "out", tiny)
    assert (report.unchanged, report.encoded) == (safe, 250 - safe)


def test_a_terminal_that_goes_away_stops_it_in_the_same_way(terminal: Terminal, tmp_path: Path) -> None:
    os.close(terminal.end)
    assert terminal.process.wait(timeout=60) == 129
    assert 0 < len(columns(IndexReader.open(tmp_path / "out"))) < 250


def test_a_signal_before_anything_is_encoded_says_that_nothing_is_there(tmp_path: Path, tiny_env: Env) -> None:
    save_pictures(tmp_path / "images", range(2))
    command = ["embed", "--images-dir", tmp_path / "images", "--out", tmp_path / "out", "--backbone", "tiny"]
    ran = run_stopped("embedlab_core.embed", 0, signal.SIGTERM, *command, env=tiny_env)
    assert ran.code == 143
    assert ran.stderr.startswith("stopped")


def test_nohup_is_respected(images: Path, tmp_path: Path, tiny_env: Env) -> None:
    command = ["embed", "--images-dir", str(images), "--out", str(tmp_path / "out"), "--backbone", "tiny"]
    process = subprocess.Popen(
        [sys.executable, "embedlab.py", *command],
        cwd=ROOT,
        env={**os.environ, **tiny_env},
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509
    )
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    assert process.returncode == 0
    assert len(IndexReader.open(tmp_path / "out")) == 250


def test_the_handlers_of_a_caller_come_back() -> None:
    before = {number: signal.getsignal(number) for number in CODES}
    with pytest.raises(Stopped) as stopped, stopping():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.exit_code == 143
    assert {number: signal.getsignal(number) for number in CODES} == before


# Embeds six images, into copies of an index if it is there, in one process after another: batches of three, each
# written at once. The first process gets a signal before its first operation on a file of the index, and one before
# each that follows; the next before its second, and so on, until one gets through. Prints the images done and the
# images in the index of each.
AT_OPERATION = """
import itertools, os, shutil, signal, sys
from pathlib import Path
from embedlab_core import embed
from embedlab_core.cli.stop import Stopped, stopping
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.index.manifest import load_manifest, models_of
from tests.support import embed_images
model, images, base, root = map(Path, sys.argv[1:])
embed.FLUSH_SECONDS = 0
for operation in itertools.count():
    out, done = root / str(operation), 0
    if base.exists():
        shutil.copytree(base, out)
    if os.fork() == 0:
        left = itertools.count(operation, -1)
        def watch(event, arguments):
            changes = event in {"os.rename", "os.remove", "os.mkdir"}
            changes |= event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
            if changes and os.fspath(arguments[0]).startswith(str(out)) and next(left) <= 0:
                signal.raise_signal(signal.SIGTERM)
        def show(now, total):
            global done
            done = now
        sys.addaudithook(watch)
        try:
            with stopping():
                embed_images(images, out, OnnxEncoder(load_model_spec(model)), show, batch_size=3, workers=1)
        except Stopped:
            print(done, load_manifest(out).count if models_of(out) else 0, flush=True)
            os._exit(1)
        os._exit(0)
    if os.wait()[1] == 0:
        break
"""


def test_a_run_stopped_while_it_writes_writes_all_that_is_encoded(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images", range(6))
    ran = run_python("-c", AT_OPERATION, tiny.spec.folder, tmp_path / "images", tmp_path / "none", tmp_path / "runs")
    assert (ran.code, ran.stderr) == (0, "")
    stopped = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    # Before the first images are encoded; while they are written; while the last are; at the end.
    assert sorted(set(stopped)) == [(0, 0), (3, 3), (6, 6)]
    assert stopped == sorted(stopped)
    assert stopped.count((6, 6)) >= 4
    for out in (tmp_path / "runs").iterdir():
        report = embed_images(tmp_path / "images", out, tiny)
        assert (report.count, len(columns(IndexReader.open(out)))) == (6, 6)


def test_a_run_stopped_while_it_replaces_rows_has_each_once(tmp_path: Path, tiny: OnnxEncoder) -> None:
    images = tmp_path / "images"
    save_pictures(images, range(6))
    embed_images(images, tmp_path / "base", tiny)
    for seed in (1, 2, 4, 5):
        picture(100 + seed).save(images / f"{seed:03d}.png")
    ran = run_python("-c", AT_OPERATION, tiny.spec.folder, images, tmp_path / "base", tmp_path / "runs")
    assert (ran.code, ran.stderr) == (0, "")
    stopped = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    assert {count for _, count in stopped} == {6}
    assert {done for done, _ in stopped} == {0, 3, 4}
    embed_images(images, tmp_path / "whole", tiny)
    for out in (tmp_path / "runs").iterdir():
        assert len(columns(IndexReader.open(out))) == 6
        embed_images(images, out, tiny)
        assert vectors_of(out) == vectors_of(tmp_path / "whole")


class _Dying:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0)


def test_a_signal_that_python_cannot_pass_on_is_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped), stopping():
        _Dying()
        time.sleep(1)
    assert capsys.readouterr().err == ""
