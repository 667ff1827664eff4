"""What each day cost, stacked by team or by family."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from billing.charts.look import Spec, chart, days_axis, money_axis, plotted


class Part(NamedTuple):
    """One series on one day; `words` is the amount for the tooltip."""

    day: date
    series: str
    amount: Decimal
    words: str


def stacked_days(
    *, first: date, last: date, parts: Sequence[Part], series: Mapping[str, str]
) -> Spec:
    """`series` from the bottom of the stack up, each with its colour."""
    totals: dict[date, Decimal] = {}
    for part in parts:
        totals[part.day] = totals.get(part.day, Decimal()) + part.amount
    days = (last - first).days + 1
    order = {name: position for position, name in enumerate(series)}
    return chart(
        220,
        data={
            "values": [
                {
                    "day": part.day.isoformat(),
                    "amount": plotted(part.amount),
                    "order": order[part.series],
                    "Day": f"{part.day:%a} {part.day.day} {part.day:%b}",
                    "Series": part.series,
                    "Spend": part.words,
                }
                for part in parts
            ]
        },
        # A bar stands over its day's tick and leaves a fifth of the day's place free.
        mark={"type": "bar", "width": {"expr": f"max(1, 0.8 * width / {days})"}},
        encoding={
            "x": days_axis(first, last, beside=12),
            "y": money_axis(max(totals.values(), default=Decimal()), "amount"),
            "color": {
                "field": "Series",
                "type": "nominal",
                "legend": None,
                "scale": {"domain": list(series), "range": list(series.values())},
            },
            "order": {"field": "order", "type": "quantitative"},
            "tooltip": [{"field": name} for name in ("Day", "Series", "Spend")],
        },
    )
