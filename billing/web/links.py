"""Addresses of the same page with one thing changed: the address holds the whole view."""

from typing import NamedTuple

from django.http import QueryDict

from billing.web.ranges import PRESETS, Range

# What an address may carry from view to view; anything else is dropped.
_KEPT = ("range", "from", "through", "budget", "project", "family", "model")
_RANGE = ("range", "from", "through")
# What means nothing on another page.
ONLY_HERE = ("budget", "project", "family", "model")


class Preset(NamedTuple):
    name: str
    href: str
    chosen: bool


def presets(query: QueryDict, shown: Range) -> list[Preset]:
    return [
        Preset(
            name,
            changed(query, dict.fromkeys(_RANGE) | {"range": key}),
            key == shown.preset,
        )
        for key, name in PRESETS.items()
    ]


def changed(query: QueryDict, changes: dict[str, str | None]) -> str:
    """The query string with these parameters set, or (None) left out."""
    kept = QueryDict(mutable=True)
    for name in _KEPT:
        value = changes[name] if name in changes else query.get(name)
        if value:
            kept[name] = value
    return f"?{kept.urlencode()}"


def kept(query: QueryDict, without: tuple[str, ...] = _RANGE) -> list[tuple[str, str]]:
    """What a form that asks for a range has to send along."""
    return [
        (name, query.get(name, ""))
        for name in _KEPT
        if name in query and name not in without
    ]
