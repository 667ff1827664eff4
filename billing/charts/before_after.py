"""What each of some things cost, and would have cost: two bars beside each other."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from billing.charts.look import Spec, chart, colour, money_axis, plotted

_BEFORE, _AFTER = "As it was", "As it would be"
_A_ROW, _AXIS = 44, 40


class Pair(NamedTuple):
    """Two amounts of one thing, with both in words for the tooltip."""

    name: str
    before: Decimal
    after: Decimal
    words: tuple[str, str]


def before_after(pairs: Sequence[Pair]) -> Spec:
    """One row for each, in the order given."""
    largest = max((max(one.before, one.after) for one in pairs), default=Decimal())
    sides = [
        (one.name, side, amount, words)
        for one in pairs
        for side, amount, words in zip(
            (_BEFORE, _AFTER), (one.before, one.after), one.words, strict=True
        )
    ]
    return chart(
        _A_ROW * len(pairs) + _AXIS,
        data={
            "values": [
                {
                    "amount": plotted(amount),
                    "Project": name,
                    "Side": side,
                    "Cost": words,
                }
                for name, side, amount, words in sides
            ]
        },
        mark={"type": "bar"},
        encoding={
            "y": {
                "field": "Project",
                "type": "nominal",
                "sort": None,
                "axis": {
                    "domain": False,
                    "ticks": False,
                    "labelLimit": {"expr": "width / 3"},
                },
                "scale": {"paddingInner": 0.3},
            },
            "yOffset": {
                "field": "Side",
                "type": "nominal",
                "sort": None,
                "scale": {"domain": [_BEFORE, _AFTER]},
            },
            "x": money_axis(largest, "amount"),
            "color": {
                "field": "Side",
                "type": "nominal",
                "legend": None,
                "scale": {
                    "domain": [_BEFORE, _AFTER],
                    "range": [colour("other"), colour("1")],
                },
            },
            "tooltip": [{"field": name} for name in ("Project", "Side", "Cost")],
        },
    )
