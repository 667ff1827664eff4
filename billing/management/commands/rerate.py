"""`manage.py rerate`: give past records today's prices, or take that back."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import OperationalError
from django.utils import timezone

from billing.actions import rerates
from billing.actions.rerates import Scope
from billing.models import LanguageModel, Rerate, RerateTotal
from billing.pricing import money
from teams.models import Organization, Team

ALL = "all"
_WORST_LUCK = 5  # a deadlock, a lock held too long: tried again so many times in a row
_WAIT_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Re-rate: a dry run first, with the totals before and after per team, then further "
        "charges in chunks, while records keep coming. What is interrupted goes on with "
        "--resume; --reverse takes a re-rate back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--organization", help=f"slug, or {ALL}")
        what.add_argument("--resume", type=int, metavar="N", help="go on with re-rate N")
        what.add_argument("--reverse", type=int, metavar="N", help="take re-rate N back")
        parser.add_argument("--team", action="append", default=[], help="slug; repeatable")
        parser.add_argument("--model", action="append", default=[], help="name; repeatable")
        parser.add_argument(
            "--from", dest="since", type=date.fromisoformat, help="first day, YYYY-MM-DD"
        )
        parser.add_argument(
            "--until", type=date.fromisoformat, help="first day that is not in it"
        )
        parser.add_argument("--reason", default="", help="why; it is audited")
        parser.add_argument("--by", default="manage.py", help="who; it is audited")
        parser.add_argument("--dry-run", action="store_true", help="only say what it would")
        parser.add_argument("--yes", action="store_true", help="ask nothing")

    def handle(self, **options: Any) -> None:
        try:
            self._do(options)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted. --resume goes on with it.") from None

    def _do(self, options: dict[str, Any]) -> None:
        if options["reverse"] is not None:
            self._reverse(options)
            return
        if options["resume"] is not None:
            rerate = _find(options["resume"])
        else:
            rerate = self._plan(options)
        if rerate.state == Rerate.State.DRY_RUN:
            rerate = self._advance(rerate, "Dry run")
        if rerate.state == Rerate.State.READY:
            self._show(rerate, executed=False)
            if options["dry_run"]:
                self.stdout.write(f"Nothing was changed. --resume {rerate.pk} starts it.")
                return
            if not options["yes"] and not self._confirmed("Re-rate"):
                return
            rerate = rerates.start(rerate=rerate, by=options["by"], now=timezone.now())
        self._carry_out(rerate)

    def _plan(self, options: dict[str, Any]) -> Rerate:
        if options["since"] is None or options["until"] is None or not options["reason"]:
            raise CommandError("Say --from, --until and --reason.")
        rerate = rerates.plan(
            scope=_scope(options),
            reason=options["reason"],
            by=options["by"],
            now=timezone.now(),
        )
        self.stdout.write(f"This is {rerate}.")
        return rerate

    def _reverse(self, options: dict[str, Any]) -> None:
        rerate = _find(options["reverse"])
        self._show(rerate, executed=True)
        if not options["yes"] and not self._confirmed("Take this back"):
            return
        reversal = rerates.reverse(
            rerate=rerate,
            by=options["by"],
            now=timezone.now(),
            reason=options["reason"],
        )
        self.stdout.write(f"This is {reversal}.")
        self._carry_out(reversal)

    def _carry_out(self, rerate: Rerate) -> None:
        if rerate.state == Rerate.State.RUNNING:
            rerate = self._advance(rerate, "Re-rating")
        self._show(rerate, executed=True)
        self.stdout.write(f"{rerate} is {Rerate.State(rerate.state).label.lower()}.")

    def _confirmed(self, what: str) -> bool:
        self.stdout.write(f"{what}? [y/N] ", ending="")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _advance(self, rerate: Rerate, what: str) -> Rerate:
        """To its end, beside workers that are at it too."""
        progress = Progress(self.stdout, what, rerates.expected(rerate))
        failures = 0
        while rerate.under_way:
            try:
                before = rerate.state
                rerate = rerates.advance(
                    rerate=rerate, clock=timezone.now, wait=True, seen=progress.advance
                )
                if rerate.state != before:
                    break
            except OperationalError:
                failures += 1
                if failures == _WORST_LUCK:
                    raise
                time.sleep(_WAIT_SECONDS)
        progress.end()
        return rerate

    def _show(self, rerate: Rerate, *, executed: bool) -> None:
        totals = rerate.totals.filter(executed=executed).select_related("team")
        shown = [one for one in totals.order_by("team__slug") if one.records]
        lines = [_HEADINGS, *map(_line, shown)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (
                cell.ljust(width) if position == 0 else cell.rjust(width)
                for position, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            self.stdout.write("  ".join(cells))


_HEADINGS = ("team", "records", "changed", "kept", "before", "after", "difference")


def _line(total: RerateTotal) -> tuple[str, ...]:
    counts = (total.records, total.changed, total.kept)
    amounts = (total.before, total.cost, total.difference)
    return (total.team.slug, *(f"{one:,}" for one in counts), *map(money.plain, amounts))


def _find(number: int) -> Rerate:
    with suppress(Rerate.DoesNotExist):
        return Rerate.objects.get(pk=number)
    raise CommandError(f"There is no re-rate {number}.")


def _scope(options: dict[str, Any]) -> Scope:
    organization = None
    if options["organization"] != ALL:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
    elif options["team"]:
        raise CommandError("Name the organization of these teams.")
    teams = Team.objects.filter(organization=organization)
    return Scope(
        organization=organization,
        since=options["since"],
        until=options["until"],
        teams=_named(
            "team", options["team"], lambda slug: teams and teams.filter(slug=slug)
        ),
        models=_named(
            "model",
            options["model"],
            lambda name: LanguageModel.objects.filter(name=name),
        ),
    )


def _named(kind: str, names: Iterable[str], find: Callable[[str], Any]) -> list[Any]:
    found = []
    for name in names:
        matching = list(find(name))
        if not matching:
            raise CommandError(f"There is no {kind} {name!r}.")
        found += matching
    return found


class Progress:
    """A bar that is redrawn on a terminal, else a line now and then."""

    _BAR = 24
    _EVERY = {True: 0.2, False: 5.0}

    def __init__(self, stream: OutputWrapper, what: str, total: int) -> None:
        self._stream = stream
        self._what = what
        self._total = total
        self._done = 0
        self._terminal = bool(stream.isatty())
        self._began = self._shown = time.monotonic()

    def advance(self, records: int) -> None:
        self._done += records
        if time.monotonic() - self._shown >= self._EVERY[self._terminal]:
            self._show()

    def end(self) -> None:
        self._show()
        if self._terminal:
            self._stream.write("")

    def _show(self) -> None:
        self._shown = time.monotonic()
        part = min(self._done / self._total, 1) if self._total else 1
        seconds = self._shown - self._began
        line = f"{part:4.0%}  {self._done:,} records"
        if seconds:
            line += f", {self._done / seconds:,.0f}/s"
        if self._terminal:
            full = round(self._BAR * part)
            bar = f"[{'#' * full}{'.' * (self._BAR - full)}]"
            self._stream.write(f"\r\x1b[K{self._what} {bar} {line}", ending="")
        else:
            self._stream.write(f"{self._what} {line}")
        self._stream.flush()
