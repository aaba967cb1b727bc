"""``pgt styles``: annotation styles, learnt from a folder of cases. Each command has a file of its own."""

from __future__ import annotations

import typer

from pgt.commands import styles_import, styles_map, styles_segment, styles_train

app = typer.Typer(help="Learn annotation styles, and segment in them.", no_args_is_help=True)
app.command("train")(styles_train.train)
app.command("import")(styles_import.import_model)
app.command("segment")(styles_segment.segment)
app.command("map")(styles_map.show_map)
app.command("suspects")(styles_map.suspects)
