from collections.abc import Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from teams.actions import audit
from teams.models import ApiKey, Organization, Project, Team
from teams.models.api_keys import PREFIX, Scope, digest_of, is_well_formed, new_secret
from teams.recent import Recent

_SHOWN_CHARACTERS = 5

_NOTE_USE = """
INSERT INTO teams_apikeyuse (key_id, last_used_at) VALUES (%s, %s)
ON CONFLICT (key_id) DO UPDATE SET last_used_at = EXCLUDED.last_used_at
WHERE teams_apikeyuse.last_used_at < EXCLUDED.last_used_at
"""


@transaction.atomic
def issue(
    *,
    organization: Organization,
    name: str,
    scopes: Iterable[Scope],
    by: str,
    now: datetime,
    team: Team | None = None,
    project: Project | None = None,
    expires_at: datetime | None = None,
    records_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be shown a second time."""
    _check_bound_inside(organization, team, project)
    secret = new_secret()
    key = ApiKey(
        organization=organization,
        team=team,
        project=project,
        name=name,
        prefix=secret[: len(PREFIX) + _SHOWN_CHARACTERS],
        digest=digest_of(secret),
        scopes=sorted({Scope(scope).value for scope in scopes}),
        created_at=now,
        created_by=by,
        expires_at=expires_at,
        records_per_minute=records_per_minute,
    )
    key.full_clean()
    key.save()
    audit.record(
        action="api_key.issue",
        subject=f"API key {key.prefix}",
        organization=organization.slug,
        by=by,
        now=now,
        after={
            "name": name,
            "scopes": key.scopes,
            "covers": covers(key),
            "records_per_minute": records_per_minute,
        },
    )
    return key, secret


@transaction.atomic
def limit(
    *, key: ApiKey, records_per_minute: int | None, by: str, now: datetime, reason: str = ""
) -> None:
    """Let the key post so many records a minute; None: as many as any.

    Raises ValidationError.
    """
    before = ApiKey.objects.select_for_update().get(pk=key.pk).records_per_minute
    key.records_per_minute = records_per_minute
    key.clean_fields()
    key.save(update_fields=["records_per_minute"])
    audit.record(
        action="api_key.limit",
        subject=f"API key {key.prefix}",
        organization=key.organization.slug,
        by=by,
        now=now,
        before={"records_per_minute": before},
        after={"records_per_minute": records_per_minute},
        reason=reason,
    )
    transaction.on_commit(_recent.forget)


@transaction.atomic
def revoke(*, key: ApiKey, by: str, now: datetime, reason: str = "") -> None:
    """Refuse the key from now on. A second time changes nothing."""
    if key.revoked_at is not None:
        return
    key.revoked_at = now
    key.save(update_fields=["revoked_at"])
    audit.record(
        action="api_key.revoke",
        subject=f"API key {key.prefix}",
        organization=key.organization.slug,
        by=by,
        now=now,
        after={"revoked_at": now.isoformat()},
        reason=reason,
    )
    transaction.on_commit(_recent.forget)


_recent: Recent[str, ApiKey] = Recent()
# A look at so many takes hardly longer than at one.
_AT_ONCE = 200


def find(*, secret: str, now: datetime) -> ApiKey | None:
    """The usable key with this secret, as it was at most HELD_SECONDS ago.

    One that expires is refused at once. What does not fit is not held.
    """
    digest = digest_of(secret)
    key = _recent.get(digest)
    if key is not None:
        return key if key.is_usable(now) else None
    if not is_well_formed(secret):
        return None
    # With it, those that were asked for of late too: they will be asked for again, and
    # a look at each by itself is a good part of what a service with many keys does.
    digests = {digest, *_recent.lapsed()[:_AT_ONCE]}
    usable = ApiKey.objects.usable(now).select_related("organization")
    found = {one.digest: one for one in usable.filter(digest__in=digests)}
    for one in found.values():
        _recent.keep(one.digest, one)
    return found.get(digest)


def note_use(*, key: ApiKey, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_USE, [key.pk, now])


def covers(key: ApiKey) -> str:
    if key.project is not None:
        return f"project {key.project.slug}"
    if key.team is not None:
        return f"team {key.team.slug}"
    return f"organization {key.organization.slug}"


def _check_bound_inside(
    organization: Organization, team: Team | None, project: Project | None
) -> None:
    for bound in (team, project):
        if bound is not None and bound.organization_id != organization.pk:
            raise ValidationError("A key is bound to something of its organization.")
