"""``pgt styles``: annotation styles, learnt from a folder of cases. Each command has a file of its own."""

from __future__ import annotations

import typer

app = typer.Typer(help="Learn annotation styles, and segment in them.", no_args_is_help=True)
