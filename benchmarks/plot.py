"""Curves with two logarithmic axes, as SVG: what docs/ shows of growth.

Knows: points and their labels.  Must never know: what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

__all__ = ["Panel", "svg"]

WIDTH, HEIGHT, GAP = 360, 260, 60
COLUMNS = 2
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


@dataclass(frozen=True)
class Panel:
    """One picture: named curves, each of (x, y) points above zero."""

    title: str
    x: str
    y: str
    curves: dict[str, list[tuple[float, float]]]


def svg(panels: list[Panel]) -> str:
    """All panels in one picture, two in a row."""
    rows = ceil(len(panels) / COLUMNS)
    width, height = COLUMNS * (WIDTH + GAP) + GAP, rows * (HEIGHT + 2 * GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
        ' font-family="sans-serif" font-size="11">'
    ]
    parts.append(f'<rect width="{width}" height="{height}" fill="white"/>')
    for number, panel in enumerate(panels):
        row, column = divmod(number, COLUMNS)
        x, y = GAP + column * (WIDTH + GAP), GAP + row * (HEIGHT + 2 * GAP)
        parts.append(f'<g transform="translate({x},{y})">')
        parts += _panel(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel) -> list[str]:
    xs = [x for points in panel.curves.values() for x, _ in points]
    ys = [y for points in panel.curves.values() for _, y in points]
    across, up = _Axis(xs, WIDTH), _Axis(ys, HEIGHT)
    parts = [f'<text x="0" y="-12" font-size="13">{escape(panel.title)}</text>']
    for power, at in across.ticks():
        parts.append(f'<path d="M{at:.1f} 0V{HEIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT + 15}" text-anchor="middle">{power}</text>')
    for power, at in up.ticks():
        parts.append(f'<path d="M0 {HEIGHT - at:.1f}H{WIDTH}" stroke="#ddd"/>')
        parts.append(f'<text x="-5" y="{HEIGHT - at + 4:.1f}" text-anchor="end">{power}</text>')
    parts.append(
        f'<text x="{WIDTH / 2}" y="{HEIGHT + 32}" text-anchor="middle">{escape(panel.x)}</text>'
    )
    parts.append(f'<text x="0" y="-1">{escape(panel.y)}</text>')
    for number, (name, points) in enumerate(panel.curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{across(x):.1f},{HEIGHT - up(y):.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        parts += [
            f'<circle cx="{across(x):.1f}" cy="{HEIGHT - up(y):.1f}" r="2.5" fill="{colour}"/>'
            for x, y in points
        ]
        parts.append(f'<text x="8" y="{16 + 15 * number}" fill="{colour}">{escape(name)}</text>')
    return parts


class _Axis:
    def __init__(self, values: list[float], length: float) -> None:
        self.first, self.last = floor(log10(min(values))), ceil(log10(max(values)) + 1e-9)
        self.length = length

    def __call__(self, value: float) -> float:
        return (log10(value) - self.first) / (self.last - self.first) * self.length

    def ticks(self) -> list[tuple[str, float]]:
        return [(f"1e{power}", self(10.0**power)) for power in range(self.first, self.last + 1)]
