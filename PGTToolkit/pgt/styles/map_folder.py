"""What `pgt styles map` writes, by name."""

from __future__ import annotations

MAP_JSON = "map.json"
MAP_HTML = "map.html"
FILES = (MAP_JSON, MAP_HTML)
