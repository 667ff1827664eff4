"""`manage.py seed_demo`: an organization to try things on."""

import json
import os
import secrets
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from teams.actions import api_keys, memberships, organizations, projects, teams
from teams.models import ApiKey, Organization, Project, Role, Team
from teams.models.api_keys import Scope, digest_of

_BY = "seed_demo"
_ORGANIZATION = "acme"
_FIRST_PROJECT = "playground"
# Team, with its projects. The key covers the first project, which stays empty.
_TEAMS = {
    ("Search", "search"): [
        ("Playground", _FIRST_PROJECT),
        ("Answer engine", "answer-engine"),
    ],
    ("Support", "support"): [("Ticket triage", "ticket-triage")],
}
# User name, role, and the team the role is for (None: the organization).
_PEOPLE = (
    ("admin", Role.ADMIN, None),
    ("finance", Role.FINANCE, None),
    ("lead", Role.LEAD, "search"),
    ("viewer", Role.VIEWER, "search"),
)


class Command(BaseCommand):
    help = (
        "Seed the demo organization. Its API key and passwords cannot be read back from "
        "the database; they stand in the credentials file and are made anew without it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--credentials", required=True, metavar="FILE")

    def handle(self, *, credentials: str, **options: Any) -> None:
        file = Path(credentials)
        now = timezone.now()
        kept = _read(file)
        with transaction.atomic():
            organization = _organization(now)
            if not _still_valid(kept, now):
                kept = _new_credentials(organization, now)
                _write(file, kept)
        self.stdout.write(f"Demo organization {organization.slug}: secrets in {file}.")


def _organization(now: datetime) -> Organization:
    found = Organization.objects.filter(slug=_ORGANIZATION).first()
    if found is not None:
        return found
    organization = organizations.create(
        name="Acme", slug=_ORGANIZATION, time_zone="Europe/Berlin", by=_BY, now=now
    )
    for (team_name, team_slug), its_projects in _TEAMS.items():
        team = teams.create(
            organization=organization, name=team_name, slug=team_slug, by=_BY, now=now
        )
        for name, slug in its_projects:
            projects.create(team=team, name=name, slug=slug, by=_BY, now=now)
    return organization


def _new_credentials(organization: Organization, now: datetime) -> dict[str, Any]:
    project = Project.objects.get(organization=organization, slug=_FIRST_PROJECT)
    _, secret = api_keys.issue(
        organization=organization,
        project=project,
        name="Demo key",
        scopes=list(Scope),
        by=_BY,
        now=now,
    )
    return {
        "api_key": secret,
        "organization": organization.slug,
        "team": project.ownerships.get().team.slug,
        "project": project.slug,
        "users": [
            _user(organization, username, role, team, now)
            for username, role, team in _PEOPLE
        ],
    }


def _user(
    organization: Organization,
    username: str,
    role: Role,
    team: str | None,
    now: datetime,
) -> dict[str, str]:
    password = secrets.token_urlsafe(12)
    is_admin = role is Role.ADMIN
    user, _ = get_user_model().objects.update_or_create(
        username=username, defaults={"is_staff": is_admin, "is_superuser": is_admin}
    )
    user.set_password(password)
    user.save(update_fields=["password"])
    memberships.grant(
        user=user,
        organization=organization,
        team=Team.objects.get(organization=organization, slug=team) if team else None,
        role=role,
        by=_BY,
        now=now,
    )
    return {"username": username, "password": password, "role": role.value}


def _read(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _still_valid(kept: dict[str, Any], now: datetime) -> bool:
    """Whether the file belongs to this database (and not to one that was thrown away)."""
    digest = digest_of(str(kept.get("api_key")))
    return ApiKey.objects.usable(now).filter(digest=digest).exists()


def _write(file: Path, credentials: dict[str, Any]) -> None:
    temporary = file.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(credentials, stream, indent=2)
    temporary.replace(file)
