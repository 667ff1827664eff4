"""Charts are valid Vega-Lite, drawn offline by the wheel that the bundle comes from."""

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from django.contrib.staticfiles import finders

from billing.charts import burn_up, look, stacked_days, waterfall
from billing.charts.burn_up import Expected, Mark, Planned, Point
from billing.charts.stacked_days import Part
from billing.charts.waterfall import Bar

TOKENS = Path(str(finders.find("purser/tokens.css"))).read_text()
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)


def burn(cap: str = "10", planned: int = 8) -> look.Spec:
    return burn_up.burn_up(
        first=FIRST,
        last=LAST,
        points=[
            Point(date(2026, 11, day), Decimal(day) / 4, "$0.25", f"${day / 4:.2f}")
            for day in range(1, 23)
        ],
        cap=Decimal(cap),
        planned=[
            Planned(date(2026, 11, day), Decimal(planned) * day / 30)
            for day in range(1, 31)
            if planned
        ],
        marks=[Mark(date(2026, 11, 20), Decimal(5), "50 % reached")],
        expected=[
            Expected(
                date(2026, 11, day),
                Decimal(day) / 5,
                Decimal(day) / 4,
                Decimal(day) / 3,
                f"${day / 4:.2f}",
                f"${day / 5:.2f}–${day / 3:.2f}",
            )
            for day in range(21, 31)
        ],
    )


def stack() -> look.Spec:
    return stacked_days.stacked_days(
        first=FIRST,
        last=LAST,
        parts=[
            Part(date(2026, 11, day), name, Decimal(day), f"${day}.00")
            for day in range(1, 20)
            for name in ("Opus", 'A "quoted" <b>')
        ],
        series={"Opus": look.colour("1"), 'A "quoted" <b>': look.colour("2")},
    )


def steps() -> look.Spec:
    bars = [("0", "10", False), ("10", "12", True), ("12", "9", True), ("0", "9", False)]
    return waterfall.waterfall(
        [
            Bar(
                f"Step {number}", Decimal(since), Decimal(until), f"${until}", change=change
            )
            for number, (since, until, change) in enumerate(bars)
        ]
    )


def properties(spec: Any) -> set[str]:
    return set(re.findall(r"var\((--[a-z0-9-]+)\)", json.dumps(spec)))


@pytest.mark.parametrize(
    "spec", [burn(), burn(cap="0", planned=0), stack()], ids=["burn-up", "bare", "days"]
)
def test_a_chart_is_drawn_offline(spec: look.Spec):
    values = dict.fromkeys(properties(spec), "#123456") | {"--font": "sans-serif"}

    svg = vl_convert.vegalite_to_svg(look.resolved(spec, values))

    assert svg.startswith("<svg")
    assert "1 Nov" in svg
    assert "var(" not in svg


def test_a_waterfall_has_a_row_for_each_step():
    values = dict.fromkeys(properties(steps()), "#123456") | {"--font": "sans-serif"}

    svg = vl_convert.vegalite_to_svg(look.resolved(steps(), values))

    assert all(f"Step {number}" in svg for number in range(4))
    assert [bar["kind"] for bar in steps()["data"]["values"]] == [
        "total",
        "more",
        "less",
        "total",
    ]


@pytest.mark.parametrize(
    "spec", [burn(), stack(), steps()], ids=["burn-up", "days", "steps"]
)
def test_every_colour_is_one_of_the_palette(spec: look.Spec):
    assert all(f"{name}:" in TOKENS for name in properties(spec))


def test_no_chart_holds_a_colour_of_its_own():
    assert not re.search(r"#[0-9a-f]{3,8}\b", json.dumps([burn(), stack(), steps()]))


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


PALETTE = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", TOKENS
    )
}


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *(
            (text, ground)
            for text in ("ink", "muted", "accent")
            for ground in ("ground", "surface", "sunken")
        ),
        *((state, f"{state}-soft") for state in ("ok", "risk", "over")),
        *((state, "surface") for state in ("ok", "risk", "over")),
        ("accent", "accent-soft"),
        ("on-accent", "accent"),
    ],
)
def test_text_is_readable_on_its_ground(text: str, ground: str, mode: int):
    """WCAG 2.2 AA: 4.5 to 1."""
    assert _contrast(PALETTE[text][mode], PALETTE[ground][mode]) >= 4.5


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("part", ["edge", "ok-fill", "over-fill", "series-1", "series-3"])
def test_what_must_be_seen_stands_out(part: str, mode: int):
    """WCAG 2.2 AA for parts of the interface: 3 to 1."""
    assert _contrast(PALETTE[part][mode], PALETTE["surface"][mode]) >= 3
