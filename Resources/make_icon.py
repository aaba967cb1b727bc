"""Draw the extension's icons: a structure of stacked slices, three of them annotated. `make icon` runs it.

Writes Resources/PGTToolkit.png (128 pixels, for the extension catalogue) and the module's icon of the same
drawing. Drawn at eight times the size and reduced, so that edges are smooth without an SVG renderer.
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw

PROJECT = Path(__file__).resolve().parent.parent
MODULE_ICON = PROJECT / "PGTToolkit" / "Resources" / "Icons" / "PGTAnnotate.png"
ICONS = (PROJECT / "Resources" / "PGTToolkit.png", MODULE_ICON)

SIZE = 128
OVERSAMPLING = 8
BACKGROUND = (23, 42, 69, 255)
PROPAGATED = (86, 180, 233, 70)
PROPAGATED_EDGE = (86, 180, 233, 190)
ANNOTATED = (240, 180, 41, 235)
ANNOTATED_EDGE = (255, 226, 150, 255)

SLICES = 11
ANNOTATED_SLICES = (1, 5, 9)


def half_width(height: float) -> float:
    """Half width, as a share of the icon, of an organ-like body at height 0 (bottom) to 1 (top)."""
    return 0.36 * math.sqrt(math.sin(math.pi * (0.12 + 0.80 * height))) * (1.08 - 0.42 * height)


def draw_icon() -> Image.Image:
    scale = SIZE * OVERSAMPLING
    icon = Image.new("RGBA", (scale, scale))
    ImageDraw.Draw(icon).rounded_rectangle((0, 0, scale - 1, scale - 1), radius=scale // 6, fill=BACKGROUND)
    for index in range(SLICES):
        height = index / (SLICES - 1)
        annotated = index in ANNOTATED_SLICES
        layer = Image.new("RGBA", icon.size)
        centre_x = scale * (0.5 + 0.05 * math.sin(2.6 * height))
        centre_y = scale * (0.82 - 0.64 * height)
        width = scale * half_width(height)
        ImageDraw.Draw(layer).ellipse(
            (centre_x - width, centre_y - 0.34 * width, centre_x + width, centre_y + 0.34 * width),
            fill=ANNOTATED if annotated else PROPAGATED,
            outline=ANNOTATED_EDGE if annotated else PROPAGATED_EDGE,
            width=scale // (50 if annotated else 90),
        )
        icon = Image.alpha_composite(icon, layer)
    return icon.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def main() -> None:
    icon = draw_icon()
    for path in ICONS:
        path.parent.mkdir(parents=True, exist_ok=True)
        icon.save(path, optimize=True)
        print(f"Wrote {path.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
