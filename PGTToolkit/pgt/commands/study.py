"""``pgt study``: studies that a department can repeat on its own cases; each has a file of its own."""

from __future__ import annotations

import typer

from pgt.commands import study_label_quality, study_slice_budget

app = typer.Typer(help="Studies that can be repeated on one's own cases.", no_args_is_help=True)
app.command("slice-budget")(study_slice_budget.slice_budget)
app.command("label-quality")(study_label_quality.label_quality)
