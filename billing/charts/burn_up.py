"""What a period has cost so far and will have cost, against its cap and its estimate."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from billing.charts.look import Spec, chart, colour, days_axis, money_axis, plotted


class Point(NamedTuple):
    """`spent` and `total` in words, for the tooltip; `amount` for the height."""

    day: date
    amount: Decimal
    spent: str
    total: str


class Mark(NamedTuple):
    """A level that was reached: where on the line, and what to say."""

    day: date
    amount: Decimal
    words: str


class Planned(NamedTuple):
    """What was to be spent by the end of a day."""

    day: date
    amount: Decimal


class Expected(NamedTuple):
    """The end of a day to come; `total` and `band` in words, for the tooltip."""

    day: date
    low: Decimal
    amount: Decimal
    high: Decimal
    total: str
    band: str


def burn_up(
    *,
    first: date,
    last: date,
    points: Sequence[Point],
    cap: Decimal,
    planned: Sequence[Planned],
    marks: Sequence[Mark],
    expected: Sequence[Expected],
) -> Spec:
    """`last` is the last day of the period; the points may end before it, and what is
    expected goes on from there."""
    amounts = [*(one.amount for one in points), *(one.amount for one in planned)]
    largest = max([cap, *amounts, *(one.high for one in expected)])
    x, y = days_axis(first, last), money_axis(largest, "amount")
    days = (last - first).days + 1
    layers = [_area(points, x, y)]
    if expected:
        layers += [_band(expected, x, y), _centre(expected, x, y)]
    layers.append(_cap(first, last, cap, x, y))
    if planned:
        is_lower = bool(expected) and planned[-1].amount < expected[-1].amount
        layers.append(_plan(planned, is_lower, x, y))
    layers += [_line(points, x, y), _dot(points, x, y), _days(points, days, x)]
    to_come = [one for one in expected if not points or one.day > points[-1].day]
    if to_come:
        layers.append(_days_to_come(to_come, days, x))
    if marks:
        layers.append(_marks(marks, x, y))
    return chart(280, layer=layers)


def _rows(points: Sequence[Point]) -> dict[str, Any]:
    return {
        "values": [
            {
                "day": point.day.isoformat(),
                "amount": plotted(point.amount),
                "Day": f"{point.day:%a} {point.day.day} {point.day:%b}",
                "That day": point.spent,
                "So far": point.total,
            }
            for point in points
        ]
    }


def _area(points: Sequence[Point], x: Spec, y: Spec) -> Spec:
    return {
        "data": _rows(points),
        "mark": {"type": "area", "color": colour("1"), "opacity": 0.12},
        "encoding": {"x": x, "y": y},
    }


def _line(points: Sequence[Point], x: Spec, y: Spec) -> Spec:
    return {
        "data": _rows(points),
        "mark": {
            "type": "line",
            "color": colour("1"),
            "strokeWidth": 2.5,
            "strokeCap": "round",
            "strokeJoin": "round",
        },
        "encoding": {"x": x, "y": y},
    }


def _rows_expected(expected: Sequence[Expected]) -> dict[str, Any]:
    return {
        "values": [
            {
                "day": one.day.isoformat(),
                "low": plotted(one.low),
                "amount": plotted(one.amount),
                "high": plotted(one.high),
                "Day": f"{one.day:%a} {one.day.day} {one.day:%b}",
                "Forecast": one.total,
                "80 % range": one.band,
            }
            for one in expected
        ]
    }


def _band(expected: Sequence[Expected], x: Spec, y: Spec) -> Spec:
    return {
        "data": _rows_expected(expected),
        "mark": {"type": "area", "color": colour("1"), "opacity": 0.18},
        "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
    }


def _centre(expected: Sequence[Expected], x: Spec, y: Spec) -> Spec:
    return {
        "data": _rows_expected(expected),
        "mark": {
            "type": "line",
            "color": colour("1"),
            "strokeWidth": 2,
            "strokeDash": [3, 4],
        },
        "encoding": {"x": x, "y": y},
    }


def _named(
    rows: list[dict[str, Any]],
    words: str,
    colour: str,
    dash: list[int],
    x: Spec,
    y: Spec,
    *,
    under: bool = False,
) -> Spec:
    """A line with its name at one end, above it or under it."""
    return {
        "data": {"values": rows},
        "encoding": {"x": x, "y": y},
        "layer": [
            {
                "mark": {
                    "type": "line",
                    "color": colour,
                    "strokeWidth": 1.5,
                    "strokeDash": dash,
                }
            },
            {
                "transform": [{"filter": "datum.named"}],
                "mark": {
                    "type": "text",
                    "text": words,
                    "align": "left" if rows[0]["named"] else "right",
                    "dx": 4 if rows[0]["named"] else -4,
                    "dy": 22 if under else -9,
                    "color": colour,
                    "fontSize": 12,
                    "fontWeight": 600,
                },
            },
        ],
    }


def _cap(first: date, last: date, cap: Decimal, x: Spec, y: Spec) -> Spec:
    rows = [
        {"day": first.isoformat(), "amount": plotted(cap), "named": True},
        {"day": last.isoformat(), "amount": plotted(cap), "named": False},
    ]
    return _named(rows, "Cap", "var(--over)", [], x, y)


def _plan(planned: Sequence[Planned], is_lower: bool, x: Spec, y: Spec) -> Spec:
    """Its name is where the forecast is not."""
    rows = [
        {"day": one.day.isoformat(), "amount": plotted(one.amount), "named": False}
        for one in planned
    ]
    rows[-1]["named"] = True
    return _named(rows, "Estimate", "var(--muted)", [5, 4], x, y, under=is_lower)


def _marks(marks: Sequence[Mark], x: Spec, y: Spec) -> Spec:
    return {
        "data": {
            "values": [
                {
                    "day": mark.day.isoformat(),
                    "amount": plotted(mark.amount),
                    "Alert": mark.words,
                }
                for mark in marks
            ]
        },
        "mark": {
            "type": "point",
            "shape": "diamond",
            "filled": True,
            "size": 110,
            "opacity": 1,
            "color": "var(--risk)",
            "stroke": "var(--surface)",
            "strokeWidth": 2,
        },
        "encoding": {"x": x, "y": y, "tooltip": [{"field": "Alert"}]},
    }


def _days(points: Sequence[Point], days: int, x: Spec) -> Spec:
    """A strip nobody sees over each day, from top to bottom, that tells its figures."""
    return {
        "data": _rows(points),
        "params": [
            {
                "name": "pointed",
                "select": {
                    "type": "point",
                    "on": "pointerover",
                    "clear": "pointerout",
                    "fields": ["day"],
                },
            }
        ],
        "mark": {
            "type": "rule",
            "strokeWidth": {"expr": f"max(6, width / {days})"},
            "color": "var(--surface)",
            "opacity": 0.001,  # at 0 it could not be pointed at
        },
        "encoding": {
            "x": x,
            "tooltip": [{"field": name} for name in ("Day", "That day", "So far")],
        },
    }


def _days_to_come(expected: Sequence[Expected], days: int, x: Spec) -> Spec:
    """The same over days that are expected."""
    return {
        "data": _rows_expected(expected),
        "mark": {
            "type": "rule",
            "strokeWidth": {"expr": f"max(6, width / {days})"},
            "color": "var(--surface)",
            "opacity": 0.001,
        },
        "encoding": {
            "x": x,
            "tooltip": [{"field": name} for name in ("Day", "Forecast", "80 % range")],
        },
    }


def _dot(points: Sequence[Point], x: Spec, y: Spec) -> Spec:
    """On the line, over the day that is pointed at."""
    return {
        "data": _rows(points),
        "mark": {
            "type": "point",
            "filled": True,
            "size": 70,
            "color": colour("1"),
            "stroke": "var(--surface)",
            "strokeWidth": 2,
        },
        "encoding": {
            "x": x,
            "y": y,
            "opacity": {
                "condition": {"param": "pointed", "empty": False, "value": 1},
                "value": 0,
            },
        },
    }
