"""How one total comes to another: what each step adds, from the top to the bottom."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from billing.charts.look import Spec, chart, colour, money_axis, plotted

_ROW = 30  # pixels
# A total is the colour of spend; what costs more or less has its own, and a sign in words.
_TOTAL, _MORE, _LESS = colour("1"), colour("6"), colour("3")


class Bar(NamedTuple):
    """From one amount to another. `words` stand beside it; a total has no `change`."""

    name: str
    since: Decimal
    until: Decimal
    words: str
    change: bool = True


def waterfall(bars: Sequence[Bar]) -> Spec:
    """One row for each bar, in their order."""
    ends = [amount for bar in bars for amount in (bar.since, bar.until)]
    lowest, highest = min(Decimal(), *ends), max(Decimal(), *ends)
    # The words stand to the right of a bar.
    room = (highest - lowest) * 3 / 10
    x = money_axis(highest, "since")
    x["scale"] = {"domain": [plotted(lowest), plotted(highest + room)], "nice": False}
    y = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {"domain": False, "ticks": False, "grid": False, "labelLimit": 130},
    }
    return chart(
        _ROW * len(bars),
        data={"values": [_row(bar) for bar in bars]},
        encoding={"y": y},
        layer=[
            {
                "mark": {"type": "bar", "height": {"band": 0.7}},
                "encoding": {
                    "x": x,
                    "x2": {"field": "until"},
                    "color": {
                        "field": "kind",
                        "type": "nominal",
                        "legend": None,
                        "scale": {
                            "domain": ["total", "more", "less"],
                            "range": [_TOTAL, _MORE, _LESS],
                        },
                    },
                    "tooltip": [{"field": name} for name in ("Step", "Amount")],
                },
            },
            {
                "mark": {
                    "type": "text",
                    "align": "left",
                    "dx": 6,
                    "fontSize": 12,
                    "color": "var(--ink)",
                },
                "encoding": {
                    "x": {**x, "field": "end"},
                    "text": {"field": "Amount"},
                },
            },
        ],
    )


def _row(bar: Bar) -> dict[str, str | float]:
    more = "more" if bar.until >= bar.since else "less"
    return {
        "name": bar.name,
        "since": plotted(bar.since),
        "until": plotted(bar.until),
        "end": plotted(max(bar.since, bar.until)),
        "kind": more if bar.change else "total",
        "Step": bar.name,
        "Amount": bar.words,
    }
