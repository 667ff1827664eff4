"""`manage.py send_demo`: live usage for a running demo, through its API."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.demo.live import MAX_RATE, NoAnswer, Sender, Service, Tally


class Command(BaseCommand):
    help = (
        "Post live usage records to a running Purser, for the demo's empty project, until "
        "Ctrl-C. `make up` writes where it answers and the key to demo.json."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--rate", type=int, default=50, help="records a second")
        parser.add_argument("--seconds", type=int, help="so long; default: until Ctrl-C")
        parser.add_argument("--url", help="of the service; default: as demo.json says")
        parser.add_argument(
            "--credentials",
            metavar="FILE",
            default=settings.HOME / "demo.json",
            help="default: %(default)s",
        )
        parser.add_argument(
            "--wait", action="store_true", help="have each record priced, show the cost"
        )

    def handle(self, *, rate: int, seconds: int | None, **options: Any) -> None:
        if not 0 < rate <= MAX_RATE:
            raise CommandError(f"--rate is from 1 to {MAX_RATE:,} records a second.")
        known = _read(Path(options["credentials"]))
        url = options["url"] or known.get("url")
        if not url:
            raise CommandError("It is not known where the service is: give --url.")
        self.stdout.write(f"{rate} records/s to {url}; Ctrl-C ends it.")
        total = Tally()
        try:
            service = Service(url, str(known.get("api_key")), wait=options["wait"])
            sender = Sender(service, rate, now=timezone.now)
            for tally in sender.seconds(seconds):
                total.add(tally)
                self.stdout.write(f"{timezone.now():%H:%M:%S}  {_said(tally, options)}")
                self.stdout.flush()
        except NoAnswer as error:
            raise CommandError(
                f"{error} Start it with `make up`, or check --url."
            ) from error
        except KeyboardInterrupt:
            self.stdout.write("")
        self.stdout.write(f"Together  {_said(total, options)}")


def _said(tally: Tally, options: dict[str, Any]) -> str:
    accepted, duplicates = tally.counts["accepted"], tally.counts["duplicates"]
    parts = [
        f"{accepted:,} accepted, {duplicates:,} duplicates, {tally.refused:,} rejected"
    ]
    if options["wait"]:
        parts.append(f"cost {tally.cost:f}")
    if tally.unanswered:
        parts.append(f"{tally.unanswered:,} requests without an answer")
    return ", ".join(parts)


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text())
    except (OSError, ValueError):
        raise CommandError(
            f"There is no demo in {file}: start one with `make up`, or name its file "
            "with --credentials."
        ) from None
    return known if isinstance(known, dict) else {}
