"""`--team`, with `--organization` where several teams have one slug."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from teams.models import Team


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--team", help="slug; without it all teams")
    parser.add_argument("--organization", help="slug: only its teams")


def teams(options: dict[str, Any]) -> list[Team]:
    """The teams these options mean, in one order. Raises CommandError."""
    found = Team.objects.select_related("organization").order_by("pk")
    if options["organization"] is not None:
        found = found.filter(organization__slug=options["organization"])
    if options["team"] is not None:
        found = found.filter(slug=options["team"])
    meant = list(found)
    if not meant:
        raise CommandError("There is no such team.")
    if options["team"] is not None and len(meant) > 1:
        raise CommandError(
            f"Several teams are called {options['team']!r}: say --organization."
        )
    return meant
