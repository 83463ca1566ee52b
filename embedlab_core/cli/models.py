"""embedlab models"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.options import json_option, reports_errors

P = ParamSpec("P")
R = TypeVar("R")


def _name_argument(function: Callable[P, R]) -> Callable[P, R]:
    return click.argument("name", metavar="NAME")(function)


@click.group("models")
def command() -> None:
    """List, show, pull, verify and remove models.

    NAME is a name from `embedlab models list`, or any ARCH:TAG, hf-hub:REPO or local-dir:PATH that open_clip
    understands.
    """


@command.command("list", cls=Command)
@json_option
@reports_errors
def list_models(as_json: bool) -> None:
    """List the models known by name, and all that are here."""
    from embedlab_core.cli.output import models_json, models_table
    from embedlab_core.encoders.folders import known_models

    render = models_json if as_json else models_table
    for line in render(known_models()):
        click.echo(line)


@command.command("show", cls=Command)
@_name_argument
@json_option
@reports_errors
def show_model(name: str, as_json: bool) -> None:
    """Show what is known of one model."""
    from embedlab_core.cli.output import model_facts, models_json
    from embedlab_core.encoders.folders import known_model

    render = models_json if as_json else model_facts
    for line in render([known_model(name)]):
        click.echo(line)


@command.command("pull", cls=Command)
@_name_argument
@reports_errors
def pull_model(name: str) -> None:
    """Download a model, unless it is here, and export it once."""
    from embedlab_core.encoders.folders import pull

    spec = pull(name)
    click.echo(f"{spec.name} ({spec.fingerprint}) is in {spec.folder}")


@command.command("verify", cls=Command)
@_name_argument
@reports_errors
def verify_model(name: str) -> None:
    """Compare every file of a model with its checksum."""
    from embedlab_core.encoders.folders import verify

    spec = verify(name)
    click.echo(f"{spec.name} ({spec.fingerprint}): all {len(spec.files)} files are as they were made")


@command.command("remove", cls=Command)
@_name_argument
@reports_errors
def remove_model(name: str) -> None:
    """Delete a model that was pulled."""
    from embedlab_core.encoders.folders import remove

    click.echo(f"removed {remove(name)}")
