"""The demo organization itself: its teams, projects and people, and their secrets."""

import secrets
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model

from billing.actions import channels
from billing.demo import stories
from billing.models import Channel
from teams.actions import api_keys, memberships, organizations, projects, teams
from teams.models import ApiKey, AuditEvent, Organization, Project, Role, Team
from teams.models.api_keys import Scope, digest_of

BY = "seed_demo"
_LEADS_ADDRESS = "lead@acme.example"


class NotTheDemo(Exception):
    """Somebody else's organization has the demo's name."""


class _Person(NamedTuple):
    username: str
    role: Role
    team: str | None  # None: the organization


_PEOPLE = (
    _Person("admin", Role.ADMIN, None),
    _Person("finance", Role.FINANCE, None),
    _Person("lead", Role.LEAD, "search"),
    _Person("viewer", Role.VIEWER, "search"),
    _Person("support-lead", Role.LEAD, "support"),
)


def settle(now: datetime) -> Organization:
    """The organization with all its teams and projects; what is missing is made.

    Raises NotTheDemo: nothing is ever added to what people made themselves.
    """
    organization = _organization(now)
    for story in stories.TEAMS:
        team = Team.objects.filter(organization=organization, slug=story.slug).first()
        team = team or teams.create(
            organization=organization, name=story.name, slug=story.slug, by=BY, now=now
        )
        known = set(organization.projects.values_list("slug", flat=True))
        for slug, name in story.projects:
            if slug not in known:
                projects.create(team=team, name=name, slug=slug, by=BY, now=now)
    if not organization.channels.exists():
        channels.create(
            organization=organization,
            kind=Channel.Kind.EMAIL,
            target=_LEADS_ADDRESS,
            by=BY,
            now=now,
        )
    return organization


def _organization(now: datetime) -> Organization:
    found = Organization.objects.filter(slug=stories.ORGANIZATION).first()
    if found is None:
        return organizations.create(
            name="Acme",
            slug=stories.ORGANIZATION,
            time_zone=stories.ZONE.key,
            by=BY,
            now=now,
        )
    ours = AuditEvent.objects.filter(
        action="organization.create", organization=found.slug, actor=BY
    )
    if not ours.exists():
        raise NotTheDemo(
            f"There is an organization {found.slug!r} that is not the demo's: rename one."
        )
    return found


# --- Secrets --------------------------------------------------------------------------


def credentials(
    organization: Organization, kept: dict[str, Any], now: datetime
) -> dict[str, Any]:
    """The key and the passwords: those that were kept while they are of use, else new.

    They cannot be read back from the database. A kept file may belong to a database
    that was thrown away, or may know less people.
    """
    digest = digest_of(str(kept.get("api_key")))
    if not ApiKey.objects.usable(now).filter(digest=digest).exists():
        kept = _key(organization, now)
    users = [user for user in kept.get("users", []) if isinstance(user, dict)]
    known = {user.get("username") for user in users}
    users += [
        _user(organization, person, now)
        for person in _PEOPLE
        if person.username not in known
    ]
    return {**kept, "users": users}


def _key(organization: Organization, now: datetime) -> dict[str, Any]:
    project = Project.objects.get(organization=organization, slug=stories.PLAYGROUND)
    _, secret = api_keys.issue(
        organization=organization,
        project=project,
        name="Demo key",
        scopes=list(Scope),
        by=BY,
        now=now,
    )
    return {
        "api_key": secret,
        "organization": organization.slug,
        "team": project.ownerships.get().team.slug,
        "project": project.slug,
    }


def _user(organization: Organization, person: _Person, now: datetime) -> dict[str, str]:
    password = secrets.token_urlsafe(12)
    is_admin = person.role is Role.ADMIN
    user, _ = get_user_model().objects.update_or_create(
        username=person.username,
        defaults={
            "email": f"{person.username}@acme.example",
            "is_staff": is_admin,
            "is_superuser": is_admin,
        },
    )
    user.set_password(password)
    user.save(update_fields=["password"])
    memberships.grant(
        user=user,
        organization=organization,
        team=Team.objects.get(organization=organization, slug=person.team)
        if person.team
        else None,
        role=person.role,
        by=BY,
        now=now,
    )
    return {
        "username": person.username,
        "password": password,
        "role": person.role.value,
    }
