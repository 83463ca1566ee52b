"""Every command and every option explains itself, and the program is one under all its names."""

from collections.abc import Iterator

import click
import pytest

import embedlab_core
from embedlab_core.cli import main
from tests.support import run_cli, run_python


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, (*path, name))


COMMANDS = dict(walk(main))


def test_there_are_the_three_commands_of_the_exercise() -> None:
    assert {path[0] for path in COMMANDS if path} >= {"embed", "search", "analyze"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(path)} {parameter.opts}"
            assert parameter.help.endswith((".", "]")), f"{' '.join(path)} {parameter.opts}"


@pytest.mark.parametrize("path", [(), ("embed",), ("search",), ("analyze",)])
def test_help_is_printed_and_names_every_option(path: tuple[str, ...]) -> None:
    ran = run_cli(*path, "--help")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"Usage: embedlab {' '.join(path)}".rstrip())
    for parameter in COMMANDS[path].params:
        assert all(name in ran.stdout for name in parameter.opts if isinstance(parameter, click.Option))
    assert run_python("-m", "embedlab_core", *path, "--help") == ran


def test_version_is_that_of_the_package() -> None:
    ran = run_cli("--version")
    assert (ran.code, ran.stderr) == (0, "")
    assert embedlab_core.__version__ in ran.stdout


def test_help_needs_no_heavy_import() -> None:
    program = """
import sys
from embedlab_core.cli import main
main(["search", "--help"], standalone_mode=False)
print(sorted({"numpy", "PIL", "onnxruntime", "tokenizers", "torch"} & set(sys.modules)))
"""
    assert run_python("-c", program).stdout.splitlines()[-1] == "[]"
