"""``pgt reference``: the automatic path's reference stage. Each command has a file of its own."""

from __future__ import annotations

import typer

from pgt.commands import reference_predict, reference_train

app = typer.Typer(help="Learn to segment whole volumes, and do it.", no_args_is_help=True)
app.command("train")(reference_train.train)
app.command("predict")(reference_predict.predict)
