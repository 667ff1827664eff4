"""`manage.py rebuild_rollups`: derive daily and hourly spend from the charges again."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.actions import rollups
from billing.management import team_option


class Command(BaseCommand):
    help = (
        "Set the rollups and budget totals to what the charges come to, team by team, "
        "while records keep coming. What is right already is left as it is; it can be "
        "repeated, and goes on where it was interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        team_option.add(parser)
        parser.add_argument("--by", default="manage.py", help="who; it is audited")

    def handle(self, **options: Any) -> None:
        teams = team_option.teams(options)
        for number, team in enumerate(teams, 1):
            began = time.monotonic()
            rebuilt = rollups.rebuild(team=team, by=options["by"], now=timezone.now())
            self.stdout.write(
                f"{number}/{len(teams)} {team.organization.slug} {team.slug}: "
                f"{_said('days', rebuilt.daily)}; {_said('hours', rebuilt.hourly)} "
                f"({time.monotonic() - began:.1f} s)"
            )


def _said(what: str, mended: rollups.Mended) -> str:
    if not mended.written and not mended.removed:
        return f"{what} agree"
    return f"{what}: {mended.written:,} rows set, {mended.removed:,} removed"
