"""`manage.py price_usage FILE.jsonl`: what recorded usage costs, line by line."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.formats import posted
from billing.formats.errors import RecordError
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
            quote, expected = _quote(line, book)
            self.stdout.write(json.dumps(quotes.as_json(quote, "USD")))
            if expected is not None:
                compared += 1
                differing += not _equals(quote, expected)
        if compared:
            self.stderr.write(
                f"{compared - differing} of {compared} prices equal their expected_usd."
            )
        if differing:
            sys.exit(1)

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


def _quote(line: bytes, book: rate_book.Book) -> tuple[quotes.Quote, str | None]:
    try:
        record = posted.decode_quote(line.strip())
    except RecordError as error:
        return quotes.rejected(None, error), None
    return quotes.quote(record, book), record.expected_usd


def _equals(quote: quotes.Quote, expected: str) -> bool:
    try:
        return quote.exact_cost == Decimal(expected)
    except InvalidOperation:
        return False
