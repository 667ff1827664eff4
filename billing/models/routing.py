from datetime import datetime
from typing import NamedTuple

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now

from billing.formats.posted import FIRST_YEAR, LAST_YEAR
from billing.models.catalog import LanguageModel
from teams.models import Team

MOST_TAGS = 20
MOST_MODELS = 100
# More than any model gives out.
MOST_OUTPUT = 10**9
_KEY, _VALUE = 64, 200


class Tag(NamedTuple):
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


class RoutingPolicy(models.Model):
    """Which models a team's calls may use, what has to wait, and how long outputs may be.

    From a moment on, until the next one starts; of several that start at one moment the
    last that was made. A policy never changes: another one follows it. One without rules
    lifts the one before.
    """

    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="routing_policies"
    )
    effective_from = models.DateField(help_text="Its first day, in the reporting zone.")
    holds_from = models.DateTimeField(
        db_default=Now(),
        help_text="The start of that day; on the day it was made, that moment.",
    )
    model_ids = ArrayField(
        models.BigIntegerField(),
        default=list,
        blank=True,
        help_text="The models that may be used. Empty: all.",
    )
    batch_only_tags = models.JSONField(
        default=list,
        blank=True,
        help_text="Tags whose records have to be processed in batches.",
    )
    max_output = models.BigIntegerField(
        null=True, blank=True, help_text="Tokens that a call may give out. Empty: any."
    )
    reason = models.CharField(max_length=1000, blank=True)
    changed_by = models.CharField(max_length=200)
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "routing policies"
        indexes = [
            models.Index(fields=["team", "effective_from"], name="routing_policy_of_team")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(max_output=None)
                | models.Q(max_output__range=(1, MOST_OUTPUT)),
                name="routing_policy_max_output",
            )
        ]

    def __str__(self) -> str:
        return f"routing of {self.team} from {self.effective_from}"

    def clean(self) -> None:
        """Raises ValidationError for a rule that makes no sense."""
        wrong = {**self._wrong_in_models(), **self._wrong_in_tags()}
        if self.max_output is not None and not 0 < self.max_output <= MOST_OUTPUT:
            wrong["max_output"] = f"A maximum is from 1 to {MOST_OUTPUT:,} tokens."
        if not FIRST_YEAR <= self.effective_from.year <= LAST_YEAR:
            wrong["effective_from"] = "Records lie in the years 2000 to 2199."
        if wrong:
            raise ValidationError(wrong)

    def _wrong_in_models(self) -> dict[str, str]:
        if len(self.model_ids) > MOST_MODELS:
            return {"model_ids": f"Name up to {MOST_MODELS} models."}
        known = LanguageModel.objects.filter(pk__in=self.model_ids).count()
        if known < len(set(self.model_ids)):
            return {"model_ids": "There is no such model."}
        return {}

    def _wrong_in_tags(self) -> dict[str, str]:
        if len(self.batch_only_tags) > MOST_TAGS:
            return {"batch_only_tags": f"Name up to {MOST_TAGS} tags."}
        for tag in self.tags:
            if not 0 < len(tag.key) <= _KEY or not 0 < len(tag.value) <= _VALUE:
                return {
                    "batch_only_tags": f"A tag has a name of up to {_KEY} characters and "
                    f"a value of up to {_VALUE}."
                }
        return {}

    @property
    def tags(self) -> list[Tag]:
        return [Tag(one["key"], one["value"]) for one in self.batch_only_tags]

    @property
    def model_names(self) -> list[str]:
        """Of the models that may be used, whoever serves them. A query."""
        named = LanguageModel.objects.filter(pk__in=self.model_ids).order_by("name")
        return list(named.values_list("name", flat=True).distinct())

    def forbids(self, model_id: int) -> bool:
        return bool(self.model_ids) and model_id not in self.model_ids

    @property
    def is_empty(self) -> bool:
        """Whether it allows everything."""
        return not (self.model_ids or self.batch_only_tags or self.max_output)


class Stretch(NamedTuple):
    """The moments [since, until) at which a policy is in force."""

    since: datetime
    until: datetime
    policy: RoutingPolicy


def in_force(team: Team, at: datetime) -> RoutingPolicy | None:
    """The policy of a team at a moment."""
    begun = RoutingPolicy.objects.filter(team=team, holds_from__lte=at)
    return begun.order_by("-holds_from", "-pk").first()


def stretches(team: Team, since: datetime, until: datetime) -> list[Stretch]:
    """The policies of a team that are in force in [since, until), in order."""
    by_start: dict[datetime, RoutingPolicy] = {}
    first = in_force(team, since)
    if first is not None:
        by_start[since] = first
    later = RoutingPolicy.objects.filter(
        team=team, holds_from__gt=since, holds_from__lt=until
    )
    by_start |= {one.holds_from: one for one in later.order_by("holds_from", "pk")}
    ends = [*list(by_start)[1:], until]
    return [
        Stretch(start, end, policy)
        for (start, policy), end in zip(by_start.items(), ends, strict=False)
    ]
