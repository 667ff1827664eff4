"""The options that `seed_demo` and `prepare` have in common."""

from argparse import ArgumentParser, ArgumentTypeError, _ArgumentGroup
from datetime import datetime
from typing import Any

from django.utils import timezone

from billing.demo.plan import Wanted

NAMES = ("days", "records", "seed", "now")
_MAX_DAYS = 730


def add(parser: ArgumentParser | _ArgumentGroup) -> None:
    parser.add_argument("--days", type=_days, default=90, help="so many days up to now")
    parser.add_argument(
        "--records",
        type=_records,
        default=300_000,
        help="about so many usage records; 0: the organization alone",
    )
    parser.add_argument("--seed", type=int, default=7, help="another one, other records")
    parser.add_argument("--now", type=_moment, metavar="ISO", help="the end of the days")


def wanted(options: dict[str, Any]) -> Wanted:
    return Wanted(
        seed=options["seed"],
        days=options["days"],
        records=options["records"],
        now=options["now"] or timezone.now(),
    )


def _days(text: str) -> int:
    return _between(text, 1, _MAX_DAYS)


def _records(text: str) -> int:
    return _between(text, 0, 100_000_000)


def _between(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ArgumentTypeError(f"a whole number from {least:,} to {most:,}, not {text!r}")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a time like 2026-11-22T12:00Z") from None
    if moment.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} needs a zone: end it with Z or +01:00")
    return moment
