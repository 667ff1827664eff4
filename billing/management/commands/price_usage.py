"""`manage.py price_usage FILE.jsonl`: what recorded usage costs, line by line."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.models import rate_book
from billing.reports import quotes
from teams.models import Organization


class Command(BaseCommand):
    help = (
        "Price usage records, one JSON object per line, and print one JSON object for "
        "each. Nothing is stored. Where a line carries expected_usd, the prices are "
        "compared with it and the exit code is 1 if any differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a JSONL file, or - for standard input")
        parser.add_argument(
            "--organization",
            help="slug; its contract rates apply (default: list prices)",
        )

    def handle(self, *, file: str, organization: str | None, **options: Any) -> None:
        book = rate_book.current(self._organization_id(organization))
        compared = differing = 0
        for line in _lines(file):
            quote = quotes.quote(line.strip(), book)
            self._print(quotes.as_json(quote, "USD"))
            if quote.expected_usd is not None:
                compared += 1
                differing += not _equals(quote, quote.expected_usd)
        if compared:
            self.stderr.write(
                f"{compared - differing} of {compared} prices equal their expected_usd."
            )
        if differing:
            sys.exit(1)

    def _print(self, answer: dict[str, Any]) -> None:
        try:
            self.stdout.write(json.dumps(answer))
            self.stdout.flush()
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)

    def _organization_id(self, slug: str | None) -> int:
        if slug is None:
            return 0  # no organization: no contract
        try:
            return Organization.objects.get(slug=slug).pk
        except Organization.DoesNotExist:
            raise CommandError(f"There is no organization {slug!r}.") from None


def _lines(file: str) -> Iterator[bytes]:
    if file == "-":
        yield from (line for line in sys.stdin.buffer if line.strip())
        return
    try:
        with open(file, "rb") as stream:
            yield from (line for line in stream if line.strip())
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error


def _equals(quote: quotes.Quote, expected: str) -> bool:
    try:
        return quote.exact_cost == Decimal(expected)
    except InvalidOperation:
        return False
