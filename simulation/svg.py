"""Plots for the documentation: lines over an axis, as SVG that is readable in light and in dark, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 56, 44
STYLE: Final = """<style>
.paper{fill:#fff}.ink{fill:#1c2426}.soft{fill:#59666a}.grid{stroke:#dde3e4}.bar{fill:#c9d6d8}
.a{stroke:#0f6674;fill:#0f6674}.b{stroke:#a8480f;fill:#a8480f;stroke-dasharray:6 4}
text{font:13px system-ui,sans-serif}text.title{font-weight:600;font-size:15px}polyline.a,polyline.b{fill:none;stroke-width:2}
@media(prefers-color-scheme:dark){.paper{fill:#14191b}.ink{fill:#e6ecee}.soft{fill:#9fb0b4}.grid{stroke:#2c3538}.bar{fill:#2f3d41}
.a{stroke:#6fcbd6;fill:#6fcbd6}.b{stroke:#f0a36b;fill:#f0a36b}}
</style>"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line's name, its class in the style (`a` or `b`), and its values, one for each place on the axis."""

    name: str
    style: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over `places`, whose labels are written where they are not empty; `bars` are behind them, with a scale of their own."""

    title: str
    described: str
    places: Sequence[str]
    lines: Sequence[Line]
    unit: str = ""
    bars: Sequence[float] = ()
    bars_name: str = ""
    """What the bars are, for the legend; the highest one's value stands behind it."""
    has_dots: bool = True

    def svg(self) -> str:
        """The whole file."""
        top = _round_up(max(value for line in self.lines for value in line.values))
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
            f'<title id="t">{escape(self.title)}</title><desc id="d">{escape(self.described)}</desc>{STYLE}',
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="8"/>',
            f'<text class="ink title" x="16" y="24">{escape(self.title)}</text>',
            *(*self._legend(), *self._bars(), *self._grid(top), *self._axis()),
            *(part for line in self.lines for part in self._line(line, top)),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _x(self, place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(self.places)

    def _legend(self) -> list[str]:
        *spots, last = [16 + 200 * number for number in range(len(self.lines) + 1)]
        lines = [
            f'<polyline class="{line.style}" points="{x},42 {x + 24},42"/><text class="ink" x="{x + 32}" y="46">{escape(line.name)}</text>'
            for x, line in zip(spots, self.lines, strict=True)
        ]
        if not self.bars:
            return lines
        text = f"{self.bars_name}, {max(self.bars):,g} at most"
        bar = f'<rect class="bar" x="{last}" y="35" width="24" height="12"/><text class="ink" x="{last + 32}" y="46">{escape(text)}</text>'
        return [*lines, bar]

    def _grid(self, top: float) -> list[str]:
        found = []
        for share in (0, 0.25, 0.5, 0.75, 1):
            y = _y(share)
            found.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            found.append(f'<text class="soft" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{top * share:g}{self.unit}</text>')
        return found

    def _axis(self) -> list[str]:
        return [
            f'<text class="soft" x="{self._x(place):.1f}" y="{HEIGHT - 18}" text-anchor="middle">{escape(label)}</text>'
            for place, label in enumerate(self.places)
            if label
        ]

    def _bars(self) -> list[str]:
        if not self.bars:
            return []
        most, width = max(self.bars) or 1, (WIDTH - LEFT - RIGHT) / len(self.places)
        return [
            f'<rect class="bar" x="{self._x(place) - width / 2:.1f}" y="{_y(value / most):.1f}" width="{width - 0.5:.1f}" '
            f'height="{_y(0) - _y(value / most):.1f}"/>'
            for place, value in enumerate(self.bars)
        ]

    def _line(self, line: Line, top: float) -> list[str]:
        spots = [(self._x(place), _y(value / top)) for place, value in enumerate(line.values)]
        dots = [f'<circle class="{line.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in spots] if self.has_dots else []
        return [f'<polyline class="{line.style}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in spots)}"/>', *dots]


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _round_up(value: float) -> float:
    return next(step for step in (1, 2, 4, 8, 12, 20, 40, 60, 80, 100, 200, 400, 1000, float("inf")) if value <= step)
