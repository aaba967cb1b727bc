"""Draw the extension's icons. `make icon` runs it.

A structure of stacked slices, three of them annotated: Resources/PGTToolkit.png (128 pixels, for the
extension catalogue) and the icon of Annotate. One slice with the outlines of two raters: the icon of
Agreement. Cases on a map: that of Styles. The stack on its way out of a tray: that of Export. Drawn at eight
times the size and reduced, so that edges are smooth without an SVG renderer.
"""

from __future__ import annotations

import math
from pathlib import Path

from PIL import Image, ImageDraw

PROJECT = Path(__file__).resolve().parent.parent
MODULE_ICONS = PROJECT / "PGTToolkit" / "Resources" / "Icons"
STACK_ICONS = (PROJECT / "Resources" / "PGTToolkit.png", MODULE_ICONS / "PGTAnnotate.png")
OUTLINES_ICON = MODULE_ICONS / "PGTAgreement.png"
MAP_ICON = MODULE_ICONS / "PGTStyles.png"
TRAY_ICON = MODULE_ICONS / "PGTExport.png"

SIZE = 128
OVERSAMPLING = 8
BACKGROUND = (23, 42, 69, 255)
PROPAGATED = (86, 180, 233, 70)
PROPAGATED_EDGE = (86, 180, 233, 190)
ANNOTATED = (240, 180, 41, 235)
ANNOTATED_EDGE = (255, 226, 150, 255)
ARROW = (240, 244, 248, 255)

MAP_CASES = 13
MAP_GROUPS = (
    ((0.36, 0.62), 0.19, PROPAGATED, (160, 214, 245, 255)),
    ((0.74, 0.66), 0.12, (0, 158, 115, 255), (120, 214, 186, 255)),
    ((0.60, 0.27), 0.14, ANNOTATED, ANNOTATED_EDGE),
)

SLICES = 11
ANNOTATED_SLICES = (1, 5, 9)


def half_width(height: float) -> float:
    """Half width, as a share of the icon, of an organ-like body at height 0 (bottom) to 1 (top)."""
    return 0.36 * math.sqrt(math.sin(math.pi * (0.12 + 0.80 * height))) * (1.08 - 0.42 * height)


def background() -> Image.Image:
    scale = SIZE * OVERSAMPLING
    icon = Image.new("RGBA", (scale, scale))
    ImageDraw.Draw(icon).rounded_rectangle((0, 0, scale - 1, scale - 1), radius=scale // 6, fill=BACKGROUND)
    return icon


def draw_stack() -> Image.Image:
    icon = background()
    scale = icon.width
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
    return reduced(icon)


def outline(shift: float, wobble: float) -> list[tuple[float, float]]:
    """A closed organ-like outline, as shares of the icon."""
    points = []
    for step in range(180):
        angle = math.tau * step / 180
        radius = 0.31 * (1 + 0.10 * math.cos(2 * angle + 0.6) + wobble * math.cos(3 * angle + 4 * wobble))
        points.append((0.5 + shift + radius * math.cos(angle), 0.5 + 0.86 * radius * math.sin(angle)))
    return points


def draw_outlines() -> Image.Image:
    icon = background()
    scale = icon.width
    outlines = ((-0.035, 0.10, PROPAGATED, PROPAGATED_EDGE), (0.035, -0.09, ANNOTATED, ANNOTATED_EDGE))
    for shift, wobble, fill, edge in outlines:
        points = [(scale * x, scale * y) for x, y in outline(shift, wobble)]
        layer = Image.new("RGBA", icon.size)
        ImageDraw.Draw(layer).polygon(points, fill=(*fill[:3], 60))
        ImageDraw.Draw(layer).line([*points, *points[:2]], fill=edge, width=scale // 26, joint="curve")
        icon = Image.alpha_composite(icon, layer)
    return reduced(icon)


def draw_map() -> Image.Image:
    icon = background()
    scale = icon.width
    layer = Image.new("RGBA", icon.size)
    pen = ImageDraw.Draw(layer)
    for centre, spread, color, edge in MAP_GROUPS:
        for step in range(MAP_CASES):
            # Sunflower seeds: evenly spread, and the same at every run.
            angle, away = 2.4 * step, spread * math.sqrt(step / MAP_CASES)
            x = scale * (centre[0] + away * math.cos(angle))
            y = scale * (centre[1] + away * math.sin(angle))
            radius = scale * 0.035
            pen.ellipse(
                (x - radius, y - radius, x + radius, y + radius),
                fill=(*color[:3], 235),
                outline=edge,
                width=scale // 110,
            )
    return reduced(Image.alpha_composite(icon, layer))


def draw_tray() -> Image.Image:
    icon = background()
    scale = icon.width
    slices = ((0.655, False), (0.595, True), (0.535, False), (0.475, False), (0.415, True))
    for height, annotated in slices:
        layer = Image.new("RGBA", icon.size)
        ImageDraw.Draw(layer).ellipse(
            (scale * 0.27, scale * (height - 0.085), scale * 0.73, scale * (height + 0.085)),
            fill=ANNOTATED if annotated else PROPAGATED,
            outline=ANNOTATED_EDGE if annotated else PROPAGATED_EDGE,
            width=scale // (50 if annotated else 90),
        )
        icon = Image.alpha_composite(icon, layer)
    pen = ImageDraw.Draw(icon)
    pen.line(
        [(scale * x, scale * y) for x, y in ((0.15, 0.60), (0.15, 0.85), (0.85, 0.85), (0.85, 0.60))],
        fill=PROPAGATED_EDGE[:3],
        width=scale // 18,
        joint="curve",
    )
    pen.line((scale * 0.5, scale * 0.30, scale * 0.5, scale * 0.17), fill=ARROW, width=scale // 14)
    pen.polygon([(scale * x, scale * y) for x, y in ((0.37, 0.21), (0.63, 0.21), (0.5, 0.07))], fill=ARROW)
    return reduced(icon)


def reduced(icon: Image.Image) -> Image.Image:
    return icon.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def main() -> None:
    stack = draw_stack()
    module_icons = ((OUTLINES_ICON, draw_outlines()), (MAP_ICON, draw_map()), (TRAY_ICON, draw_tray()))
    for path, icon in (*((path, stack) for path in STACK_ICONS), *module_icons):
        path.parent.mkdir(parents=True, exist_ok=True)
        icon.save(path, optimize=True)
        print(f"Wrote {path.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
