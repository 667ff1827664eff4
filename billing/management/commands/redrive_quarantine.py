"""`manage.py redrive_quarantine`: post quarantined records again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.actions import parked
from billing.management import team_option


class Command(BaseCommand):
    help = (
        "Post quarantined records again, each once, when what broke their pricing is "
        "mended. One that fails again is in quarantine again, with its new reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        team_option.add(parser)
        parser.add_argument("--by", default="manage.py", help="who; it is audited")

    def handle(self, **options: Any) -> None:
        began = timezone.now()
        for team in team_option.teams(options):
            posted = 0
            while again := parked.redrive(
                team=team, until=began, by=options["by"], now=timezone.now()
            ):
                posted += again
            if posted:
                self.stdout.write(f"{team.organization.slug} {team.slug}: {posted:,}")
        self.stdout.write("Workers count what was posted again.")
