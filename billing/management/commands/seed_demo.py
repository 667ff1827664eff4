"""`manage.py seed_demo`: an organization to try things on, with a past."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from billing.demo import options as demo_options
from billing.demo import people, seed
from billing.demo.people import NotTheDemo
from billing.demo.posting import SeedingFailed


class Command(BaseCommand):
    help = (
        "Seed the demo organization: people, teams, budgets, estimates and the usage of "
        "90 days. Its API key and passwords cannot be read back from the database; they "
        "stand in the credentials file and are made anew without it. A start that was "
        "interrupted is continued by the next one; what is complete stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--credentials",
            default=str(settings.HOME / "credentials.json"),
            metavar="FILE",
            help="default: those of PURSER_HOME",
        )
        demo_options.add(parser)

    def handle(self, *, credentials: str, **options: Any) -> None:
        file = Path(credentials)
        wanted = demo_options.wanted(options)
        try:
            with transaction.atomic():
                organization = people.settle(wanted.now)
                kept = _read(file)
                current = people.credentials(organization, kept, timezone.now())
                if current != kept:
                    _write(file, current)
            if wanted.records and not seed.is_done(organization):
                seed.seed(organization, wanted, self.stdout)
        except (NotTheDemo, SeedingFailed) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Demo organization {organization.slug}: secrets in {file}.")


def _read(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(file: Path, credentials: dict[str, Any]) -> None:
    temporary = file.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(credentials, stream, indent=2)
    temporary.replace(file)
