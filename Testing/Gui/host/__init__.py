"""A window around Slicer's engine, for tests: Qt off screen, and what slicer-core leaves to the application.

`install` puts `qt`, `ctk` and the missing pieces of `slicer` in place, behaving as they do in Slicer: Qt
properties are attributes. The modules under test do not know.
"""

from __future__ import annotations

from pathlib import Path

from host.application import Application, install

__all__ = ["MODULES", "Application", "install"]

MODULES = Path(__file__).resolve().parents[3] / "PGTToolkit"
