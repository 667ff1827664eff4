"""API keys: `purser_` + 32 random base-62 characters + 6 characters of checksum.

Only a SHA-256 of the key is stored: the secret has 190 bits, so a slow hash would cost
every request and protect nothing. The fixed prefix and the checksum let secret scanners
recognise a leaked key without asking us.
"""

import hashlib
import secrets
import string
import zlib
from datetime import datetime

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.text import Truncator

from teams.models.organizations import Organization
from teams.models.projects import Project
from teams.models.teams import Team

PREFIX = "purser_"
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 32
_CHECKSUM_LENGTH = 6


# More would be less than a microsecond for each.
MOST_RECORDS_PER_MINUTE = 60_000_000


class Scope(models.TextChoices):
    USAGE_WRITE = "usage:write", "Post usage"
    USAGE_READ = "usage:read", "Read its records"
    IMPORT = "import", "Post usage of any age"
    PRICES_READ = "prices:read", "Ask for prices"
    PRICES_WRITE = "prices:write", "Edit and publish contract prices"
    REPORTS_READ = "reports:read", "Read reports"
    BUDGETS_READ = "budgets:read", "Read budgets, alerts and estimates"
    RERATES_WRITE = "rerates:write", "Re-rate what is counted"
    RAISES_WRITE = "raises:write", "Ask for higher caps"
    BUDGETS_WRITE = "budgets:write", "Edit budgets, channels and estimates"


def new_secret() -> str:
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return PREFIX + body + _checksum(body)


def is_well_formed(secret: str) -> bool:
    """Whether this can be a key at all; a typing error needs no query to be refused."""
    body = secret[len(PREFIX) : -_CHECKSUM_LENGTH]
    return (
        secret.startswith(PREFIX)
        and len(body) == _SECRET_LENGTH
        and body.isascii()
        and secret.endswith(_checksum(body))
    )


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, now: datetime) -> "ApiKeyQuerySet":
        """Neither revoked nor expired."""
        return self.filter(
            models.Q(revoked_at=None) | models.Q(revoked_at__gt=now),
            models.Q(expires_at=None) | models.Q(expires_at__gt=now),
        )


class ApiKey(models.Model):
    """A service's way in: bound to a project, a team or the whole organization."""

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="api_keys"
    )
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="api_keys", null=True, blank=True
    )
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        related_name="api_keys",
        null=True,
        blank=True,
    )
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    records_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_RECORDS_PER_MINUTE)],
        help_text="Usage records it may post in a minute; empty: as many as any.",
    )

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team=None) | models.Q(project=None),
                name="api_key_bound_to_one_thing",
            ),
            models.CheckConstraint(
                condition=models.Q(records_per_minute__range=(1, MOST_RECORDS_PER_MINUTE)),
                name="api_key_records_per_minute",
            ),
        ]

    def __str__(self) -> str:
        """The name that history has for it, in 200 characters at most."""
        return f"{Truncator(self.name).chars(180)} ({self.prefix}…)"

    def is_usable(self, now: datetime) -> bool:
        """Neither revoked nor expired, as far as this instance knows."""
        ends = (self.revoked_at, self.expires_at)
        return all(end is None or end > now for end in ends)

    def has_scope(self, scope: str) -> bool:
        return scope in self.scopes

    def teams(self) -> models.QuerySet[Team]:
        """Whose ledger this key can reach: a moved project has rows in several teams."""
        if self.project_id is not None:
            return Team.objects.filter(ownerships__project=self.project_id).distinct()
        if self.team_id is not None:
            return Team.objects.filter(pk=self.team_id)
        return Team.objects.filter(organization=self.organization_id)

    def projects(self) -> models.QuerySet[Project]:
        """What it may post for; a team's projects include those it once owned."""
        if self.project_id is not None:
            return Project.objects.filter(pk=self.project_id)
        projects = Project.objects.filter(organization=self.organization_id)
        if self.team_id is not None:
            projects = projects.filter(ownerships__team=self.team_id).distinct()
        return projects

    def may_act_for(self, team_id: int) -> bool:
        """Whether it reaches this team, which owned one of its `projects()`."""
        return self.team_id is None or self.team_id == team_id


class ApiKeyUse(models.Model):
    """When a key was last used: written often, so apart from the key itself."""

    key = models.OneToOneField(
        ApiKey, on_delete=models.CASCADE, primary_key=True, related_name="use"
    )
    last_used_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.last_used_at:%Y-%m-%d %H:%M}"


class ApiKeyBucket(models.Model):
    """What is missing in a key's bucket by all web processes (teams/token_buckets.py)."""

    key = models.OneToOneField(
        ApiKey, on_delete=models.CASCADE, primary_key=True, related_name="bucket"
    )
    told_at = models.DateTimeField(help_text="When a process last told what was taken.")
    full_at = models.DateTimeField(help_text="When it is full again if no more is taken.")

    def __str__(self) -> str:
        return f"full at {self.full_at:%Y-%m-%d %H:%M:%S}"
