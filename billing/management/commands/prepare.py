"""`manage.py prepare`: everything a new or updated installation needs, in one start."""

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.actions import partitions, rate_cards
from billing.demo import options as demo_options


class Command(BaseCommand):
    help = (
        "Migrate, make the ledger's partitions, install the queue, load list prices on a "
        "new installation and, with --credentials, seed the demo. Repeatable."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--credentials", metavar="FILE", help="seed the demo; keep its secrets here"
        )
        demo_options.add(parser.add_argument_group("of the demo (see seed_demo)"))

    def handle(self, *, credentials: str | None, **options: Any) -> None:
        with self._step("Tables"):
            call_command("migrate", verbosity=0, interactive=False)
            call_command("createcachetable", verbosity=0)
        with self._step("Partitions"):
            partitions.keep(now=timezone.now())
        with self._step("Queue"):
            call_command("install_queue", stdout=_Silent())
        with self._step("List prices"):
            rate_cards.load_list_prices(by="installation", now=timezone.now())
        if credentials:
            with self._step("Demo organization"):
                self._seed(credentials, options)

    def _seed(self, credentials: str, options: dict[str, Any]) -> None:
        """It takes a while, so that it is seen how far it is."""
        asked = {name: options[name] for name in demo_options.NAMES}
        call_command("seed_demo", credentials=credentials, stdout=self.stdout, **asked)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.stdout.write(f"{name} ready ({time.monotonic() - started:.1f} s)")
        self.stdout.flush()


class _Silent:
    """Swallows a sub-command's own report; its step is reported here."""

    def write(self, text: str) -> None: ...
