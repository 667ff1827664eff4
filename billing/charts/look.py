"""What all charts share. Specifications are plain Vega-Lite, made of plain values.

Colours are names of CSS custom properties (`var(--ink)`): the page's script puts in what
they mean in light or dark, and `resolved` does so for a picture in a mail.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"

# The palette by the names of its places; whatever finds no place shares the last one.
PLACES = ("1", "2", "3", "4", "5", "6", "7")
OTHER = "other"

_QUIET = {"grid": False, "domain": False, "ticks": False}


def colour(place: str) -> str:
    return f"var(--series-{place})"


def chart(height: int, **parts: Any) -> Spec:
    """A chart as wide as what it stands in."""
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "background": "transparent",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 0, "right": 4, "top": 8, "bottom": 6},
        **parts,
        "config": {
            "font": "var(--font)",
            "view": {"stroke": None},
            "axis": {
                "labelColor": "var(--muted)",
                "labelFontSize": 12,
                "gridColor": "var(--line)",
                "domainColor": "var(--line)",
                "tickColor": "var(--line)",
                "labelPadding": 8,
                "title": None,
            },
        },
    }


def days_axis(first: date, last: date, *, beside: int = 0) -> dict[str, Any]:
    """Days of the reporting zone; never shifted into the zone of the browser.

    `beside` is the room before the first and after the last day, in hours.
    """
    room = timedelta(hours=beside)
    ends = (_midnight(first) - room, _midnight(last) + room)
    return {
        "field": "day",
        "type": "temporal",
        "scale": {"type": "utc", "domain": [f"{end:%Y-%m-%dT%H:%MZ}" for end in ends]},
        "axis": {
            **_QUIET,
            "format": "%-d %b",
            "labelOverlap": True,
            "labelFlush": True,
            "tickCount": {"expr": "max(2, floor(width / 90))"},
        },
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def money_axis(largest: Decimal, field: str) -> dict[str, Any]:
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domainMin": 0, "nice": True},
        "axis": {**_QUIET, "grid": True, "tickCount": 4, "format": _format(largest)},
    }


def _format(largest: Decimal) -> str:
    """Enough places to tell the ticks of an axis apart."""
    if largest >= 10:
        return ",.0f"
    return ",.2f" if largest >= Decimal("0.1") else ".2~g"


def plotted(amount: Decimal) -> float:
    """An amount as a position in a picture; every figure in words is exact."""
    return float(amount)


def resolved(spec: Any, values: Mapping[str, str]) -> Any:
    """The specification with each `var(--name)` replaced by its value."""
    if isinstance(spec, dict):
        return {name: resolved(value, values) for name, value in spec.items()}
    if isinstance(spec, list):
        return [resolved(value, values) for value in spec]
    if isinstance(spec, str) and spec.startswith("var(--"):
        return values[spec[4:-1]]
    return spec
