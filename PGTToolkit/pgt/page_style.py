"""What every page of the toolkit has in common: its look, its pictures, and that names stay text."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup


@dataclass(frozen=True)
class Picture:
    """A picture and what to see in it."""

    png: bytes
    caption: str

    @property
    def address(self) -> str:
        """The picture as an address that needs no file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def page_environment() -> Environment:
    """Templates in which every name is text: names come from files that nobody vouches for."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals["page_style"] = Markup(PAGE_STYLE)
    return environment


PAGE_STYLE = """\
:root { --ink: #1d2733; --soft: #5b6b7b; --line: #dde3ea; --accent: #0b6e99; --drawn: #e0a100; }
body { margin: 0 auto; max-width: 1180px; padding: 28px 24px 60px; background: #fff; color: var(--ink);
  font: 15px/1.55 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 26px; margin: 0 0 6px; } h2 { font-size: 18px; margin: 34px 0 8px; }
.lead { font-size: 17px; max-width: 62em; margin: 0 0 14px; }
ol, ul, p { max-width: 62em; } ol, ul { padding-left: 1.4em; }
figure { margin: 14px 0 22px; }
figure img { width: 100%; border-radius: 4px; background: #0b0d10; display: block; }
figcaption { color: var(--soft); margin-top: 5px; }
table { border-collapse: collapse; }
th, td { padding: 4px 14px; border-bottom: 1px solid var(--line); text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; } td.best { font-weight: 650; }
tr.mean td { border-top: 2px solid var(--soft); font-weight: 600; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 8px; }
.message { border-left: 4px solid var(--drawn); background: #fff8e5; padding: 8px 14px; }
.soft { color: var(--soft); } code { font-size: 0.92em; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg .grid { stroke: var(--line); }
svg text { font-size: 11px; fill: var(--soft); }
svg .tick { text-anchor: middle; } svg .level { text-anchor: end; }
.key span { display: inline-block; margin-right: 18px; }
.key i { display: inline-block; width: 14px; height: 10px; margin-right: 6px; }
"""
