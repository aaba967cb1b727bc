"""Puts the commands together."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from pgt import __version__
from pgt.commands import (
    agree,
    consensus,
    demo,
    export,
    models,
    plan,
    propagate,
    pseudo_label,
    reference,
    study,
    styles,
)

# What typer raises for a wrong option; which package it comes from depends on typer's version.
UsageError = cast(type[typer.BadParameter], typer.BadParameter.__mro__[1])

app = typer.Typer(
    name="pgt",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("plan")(plan.plan)
app.command("propagate")(propagate.propagate)
app.command("agree")(agree.agree)
app.command("consensus")(consensus.consensus)
app.add_typer(styles.app, name="styles")
app.add_typer(reference.app, name="reference")
app.command("pseudo-label")(pseudo_label.pseudo_label)
app.add_typer(study.app, name="study")
app.command("export")(export.export)
app.add_typer(models.app, name="models")
app.command("demo")(demo.demo)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pgt {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Draw a few slices, get the whole volume."""
