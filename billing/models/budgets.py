from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.formats.posted import FIRST_YEAR, LAST_YEAR
from billing.models.catalog import LanguageModel
from billing.models.ledger import team_key
from billing.pricing.budget_periods import FISCAL, Period, PeriodKind, Window
from billing.pricing.caps import DEFAULT_FORECAST_ALERT, DEFAULT_THRESHOLDS
from billing.pricing.usage import Processing
from teams.models import Organization, Ownership, Project, Team

# Each day of a period is in its chart and its forecast.
LONGEST_CUSTOM = timedelta(days=5 * 366)

# A temporary raise has an amount above the cap and an end, or there is none.
_RAISED_OR_NOT = models.Q(raised_to=None, raised_until=None) | models.Q(
    raised_to__isnull=False,
    raised_until__isnull=False,
    raised_to__gt=models.F("amount"),
    raised_to__lt=10**12,
)
_FORECAST_ALERT_IS_PERCENT = models.Q(forecast_alert=None) | models.Q(
    forecast_alert__range=(1, 99)
)
_PERIODS = [(kind.value, kind.value.capitalize()) for kind in PeriodKind]
_PROCESSINGS = [(one.value, one.value.capitalize()) for one in Processing]
_WEEKDAYS = list(
    enumerate(
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    )
)


class BudgetState(StrEnum):
    RUNNING = "running"
    UPCOMING = "upcoming"  # a custom period that has not begun
    ENDED = "ended"  # one that is over
    EXPIRED = "expired"
    ARCHIVED = "archived"


def default_thresholds() -> list[int]:
    return list(DEFAULT_THRESHOLDS)


class BudgetTerms(models.Model):
    """What a budget says; every change of it is a revision."""

    amount = models.DecimalField(
        "cap",
        max_digits=21,
        decimal_places=9,
        validators=[MinValueValidator(0)],
        help_text="In the organization's currency, per period.",
    )
    hard = models.BooleanField(
        default=False,
        help_text="Hard: calls above the cap are to be refused.",
    )
    thresholds = ArrayField(
        models.PositiveSmallIntegerField(),
        default=default_thresholds,
        blank=True,
        help_text="Percentages of the cap that raise an alert, besides the cap itself.",
    )
    forecast_alert = models.PositiveSmallIntegerField(
        default=DEFAULT_FORECAST_ALERT,
        db_default=DEFAULT_FORECAST_ALERT,
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(99)],
        help_text="Told when the period is expected to end above the cap with so many "
        "percent probability, 1 to 99. Empty: never.",
    )
    expires_on = models.DateField(
        null=True,
        blank=True,
        help_text="From this day on it raises and refuses nothing. Empty: never.",
    )
    exempt_free = models.BooleanField(
        "free models pass",
        default=True,
        db_default=True,
        help_text="Calls of models that cost nothing pass, even over the cap.",
    )
    raised_to = models.DecimalField(
        max_digits=21,
        decimal_places=9,
        null=True,
        blank=True,
        editable=False,
        help_text="The cap for now, until it is what it was.",
    )
    raised_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    def cap(self, now: datetime) -> Decimal:
        """The cap in force: a temporary raise ends by the clock and by nothing else."""
        if self.raised_to is None or self.raised_until is None or now >= self.raised_until:
            return self.amount
        return self.raised_to


_PLACE_AMONG_ITS_MODELS = models.Func(
    models.OuterRef("model_ids"),
    models.F("pk"),
    function="array_position",
    output_field=models.IntegerField(),
)


class BudgetQuerySet(models.QuerySet["Budget"]):
    def active(self) -> "BudgetQuerySet":
        return self.filter(archived_at=None)

    def over_team(self, team: Team | int) -> "BudgetQuerySet":
        """Budgets that some spend of this team counts against."""
        team_id = team.pk if isinstance(team, Team) else team
        its_organization = Team.objects.filter(pk=team_id).values("organization")
        its_projects = Ownership.objects.filter(team=team_id).values("project")
        return self.filter(
            models.Q(team=team_id)
            | models.Q(team=None, project=None, organization__in=its_organization)
            | models.Q(project__in=its_projects)
        )

    def monthly(self, *, team: Team, project: Project | None) -> "BudgetQuerySet":
        """Those of a month of all that a project, or without one the team, spends: the one
        that is passed first comes first."""
        scope = {"project": project} if project else {"team": team, "project": None}
        whole = self.filter(model_ids=[], processing=[], tag_key="")
        return whole.filter(**scope, period=PeriodKind.MONTH).order_by("amount", "pk")

    def with_scope(self) -> "BudgetQuerySet":
        """With all that `scope`, `is_wide` and an evaluation read."""
        named = LanguageModel.objects.alias(place=_PLACE_AMONG_ITS_MODELS)
        named = named.filter(place__isnull=False).order_by("name")
        names = ArraySubquery(named.values("name").distinct())
        return (
            self.select_related("organization", "team", "project")
            .prefetch_related("project__ownerships")
            .annotate(model_names=names)  # type: ignore[no-redef]
        )


class Budget(BudgetTerms):
    """A cap on what an organization, a team or a project spends per period.

    It may be limited to some models, to some kinds of processing, and to the values of
    one tag; what is empty limits nothing. Which period runs follows from the day: there is
    nothing to reset. What it is for never changes, only its terms do.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="budgets"
    )
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="budgets", null=True, blank=True
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="budgets", null=True, blank=True
    )
    # No rows of their own: counting reads them with the budget.
    model_ids = ArrayField(
        models.BigIntegerField(),
        default=list,
        db_default=[],
        blank=True,
        help_text="The models it is limited to.",
    )
    processing = ArrayField(
        models.CharField(max_length=32, choices=_PROCESSINGS),
        default=list,
        db_default=[],
        blank=True,
        help_text="The kinds of processing it is limited to, such as batch.",
    )
    tag_key = models.CharField(
        max_length=64,
        default="",
        db_default="",
        blank=True,
        help_text="The tag it is limited to: records with one of the values count.",
    )
    tag_values = ArrayField(
        models.CharField(max_length=200), default=list, db_default=[], blank=True
    )
    period = models.CharField(max_length=10, choices=_PERIODS, default=PeriodKind.MONTH)
    week_starts_on = models.PositiveSmallIntegerField(
        choices=_WEEKDAYS, default=0, db_default=0, help_text="Of a weekly budget."
    )
    fiscal_starts_in = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(12)],
        help_text="The month, 1 to 12, that quarters and years are counted from.",
    )
    custom_first = models.DateField(
        null=True, blank=True, help_text="Of a custom period: its first day."
    )
    custom_until = models.DateField(
        null=True, blank=True, help_text="The first day after it."
    )
    revision = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = BudgetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team=None) | models.Q(project=None),
                name="budget_has_one_scope",
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lt=10**12),
                name="budget_amount_finite",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    period=PeriodKind.CUSTOM,
                    custom_first__isnull=False,
                    custom_until__isnull=False,
                    custom_until__gt=models.F("custom_first"),
                )
                | ~models.Q(period=PeriodKind.CUSTOM)
                & models.Q(custom_first=None, custom_until=None),
                name="budget_custom_period_has_its_days",
            ),
            models.CheckConstraint(
                condition=models.Q(week_starts_on=0)
                | models.Q(period=PeriodKind.WEEK, week_starts_on__lte=6),
                name="budget_week_starts_on_a_day",
            ),
            models.CheckConstraint(
                condition=models.Q(fiscal_starts_in=1)
                | models.Q(period__in=sorted(FISCAL), fiscal_starts_in__range=(2, 12)),
                name="budget_fiscal_year_starts_in_a_month",
            ),
            models.CheckConstraint(
                condition=models.Q(tag_key="", tag_values=[])
                | ~models.Q(tag_key="") & ~models.Q(tag_values=[]),
                name="budget_tag_has_values",
            ),
            models.CheckConstraint(condition=_RAISED_OR_NOT, name="budget_raise_is_whole"),
            models.CheckConstraint(
                condition=_FORECAST_ALERT_IS_PERCENT, name="budget_forecast_alert_percent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.period} budget #{self.pk}"

    def clean(self) -> None:
        """Raises ValidationError for a period or a limit that makes no sense."""
        wrong = {**self._wrong_in_period(), **self._wrong_in_tag()}
        if wrong:
            raise ValidationError(wrong)

    def _wrong_in_period(self) -> dict[str, str]:
        if self.period != PeriodKind.CUSTOM:
            return self._wrong_in_calendar()
        if self.custom_first is None or self.custom_until is None:
            return {"period": "A custom period needs its first day and the day it ends."}
        if self.custom_until <= self.custom_first:
            return {"custom_until": "A period ends after its first day."}
        if self.custom_until - self.custom_first > LONGEST_CUSTOM:
            return {"custom_until": "A custom period lasts up to five years."}
        years = range(FIRST_YEAR, LAST_YEAR + 1)
        if not {self.custom_first.year, self.custom_until.year} <= set(years):
            return {"custom_first": "Records lie in the years 2000 to 2199."}
        return self._wrong_in_calendar()

    def _wrong_in_calendar(self) -> dict[str, str]:
        """What is said of another kind of period than this one."""
        its_days = {self.custom_first, self.custom_until} - {None}
        if its_days and self.period != PeriodKind.CUSTOM:
            return {"custom_first": "Only a custom period has days of its own."}
        if self.week_starts_on and self.period != PeriodKind.WEEK:
            return {"week_starts_on": "Only a week has a day to start on."}
        if self.fiscal_starts_in != 1 and self.period not in FISCAL:
            return {"fiscal_starts_in": "Only quarters and years are of a fiscal year."}
        return {}

    def _wrong_in_tag(self) -> dict[str, str]:
        if self.tag_key and not self.tag_values:
            return {"tag_values": "Say which values of the tag count."}
        if self.tag_values and not self.tag_key:
            return {"tag_key": "Say which tag has these values."}
        return {}

    @property
    def window(self) -> Window:
        """Its periods."""
        custom = None
        if self.custom_first is not None and self.custom_until is not None:
            custom = Period(self.custom_first, self.custom_until)
        return Window(
            PeriodKind(self.period), self.week_starts_on, self.fiscal_starts_in, custom
        )

    def running(self, day: date) -> Period | None:
        """The period that it raises and refuses in on a day, if it does on that day."""
        return None if self.is_expired(day) else self.window.period(day)

    def state(self, day: date) -> BudgetState:
        """Whether it raises and refuses anything on a day, or why not."""
        if self.archived_at is not None:
            return BudgetState.ARCHIVED
        if self.is_expired(day):
            return BudgetState.EXPIRED
        if self.window.period(day) is not None:
            return BudgetState.RUNNING
        early = self.custom_first is not None and day < self.custom_first
        return BudgetState.UPCOMING if early else BudgetState.ENDED

    def is_expired(self, day: date) -> bool:
        return self.expires_on is not None and day >= self.expires_on

    def covers(
        self,
        *,
        project_id: int,
        model_id: int | None,
        processing: str,
        tags: Mapping[str, str] | None,
    ) -> bool:
        """Whether what a team uses like this counts against its budget.

        A model that is not known (None) may turn out to be any, so it counts; tags that
        are not known do not have the value that a budget asks for.
        """
        return (
            self.project_id in (None, project_id)
            and (not self.model_ids or model_id is None or model_id in self.model_ids)
            and (not self.processing or processing in self.processing)
            and (not self.tag_key or self._has_tag(tags or {}))
        )

    @property
    def covered_rollups(self) -> models.Q:
        """What of a team's rollups counts against it; they know no tags."""
        covered = models.Q()
        if self.project_id is not None:
            covered &= models.Q(project_id=self.project_id)
        if self.model_ids:
            covered &= models.Q(model_id__in=self.model_ids)
        if self.processing:
            covered &= models.Q(processing__in=self.processing)
        return covered

    def _has_tag(self, tags: Mapping[str, str]) -> bool:
        return tags.get(self.tag_key) in self.tag_values

    @property
    def is_wide(self) -> bool:
        """Whether spend of several teams may count against it."""
        return len(self.covered_team_ids) != 1

    @property
    def covered_team_ids(self) -> set[int]:
        """The teams whose spend may count against it; none is named for an organization."""
        if self.project is not None:
            return {ownership.team_id for ownership in self.project.ownerships.all()}
        return set() if self.team_id is None else {self.team_id}

    @cached_property
    def model_names(self) -> Sequence[str]:
        """Of the models it is limited to. A query, unless selected `with_scope()`."""
        named = LanguageModel.objects.filter(pk__in=self.model_ids).order_by("name")
        return list(named.values_list("name", flat=True).distinct())

    @property
    def is_limited(self) -> bool:
        """Whether it counts a part of what its scope spends."""
        return bool(self.model_ids or self.processing or self.tag_key)

    @property
    def limits(self) -> Sequence[str]:
        """In words, each; nothing for a budget of all that its scope spends."""
        said = []
        if self.processing:
            said.append(f"{' and '.join(self.processing)} only")
        said += self.model_names
        if self.tag_key:
            said.append(f"tag {self.tag_key}={' or '.join(self.tag_values)}")
        return said

    def owner_id(self, now: datetime) -> int | None:
        """The team it belongs to: that of its project now; None of an organization's."""
        if self.project is None:
            return self.team_id
        owners = [one for one in self.project.ownerships.all() if one.effective_from <= now]
        owners.sort(key=lambda one: one.effective_from)
        return owners[-1].team_id if owners else None

    @property
    def scope(self) -> str:
        """What it is for, in words. Reads the team or project: select them."""
        return ", ".join((self._owner, *self.limits))

    @property
    def _owner(self) -> str:
        if self.project_id is not None:
            return f"project {self.project.slug}"  # type: ignore[union-attr]
        if self.team_id is not None:
            return f"team {self.team.slug}"  # type: ignore[union-attr]
        return f"organization {self.organization.slug}"


class BudgetRevision(BudgetTerms):
    """The terms of a budget from one change to the next: who, when, why."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="revisions")
    revision = models.PositiveIntegerField()
    changed_by = models.CharField(max_length=200)
    changed_at = models.DateTimeField()
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "revision"], name="budget_revision_numbered_once"
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0, amount__lt=10**12),
                name="budget_revision_amount_finite",
            ),
            models.CheckConstraint(
                condition=_RAISED_OR_NOT, name="budget_revision_raise_is_whole"
            ),
            models.CheckConstraint(
                condition=_FORECAST_ALERT_IS_PERCENT,
                name="budget_revision_forecast_alert_percent",
            ),
        ]

    def __str__(self) -> str:
        return f"revision {self.revision}"


class BudgetTotal(models.Model):
    """What one team has spent against one budget in one period.

    Written in the transaction that counts; re-derivable from the daily rollups. The row
    is where concurrent counters of one budget meet, so that each sees its crossing.
    """

    pk = models.CompositePrimaryKey("team_id", "budget_id", "period_start")
    team = team_key()
    budget = models.ForeignKey(
        Budget, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    period_start = models.DateField()
    spent = models.DecimalField(max_digits=30, decimal_places=15)

    class Meta:
        db_table = "billing_budget_total"
        indexes = [
            # The sum of a budget over its teams.
            models.Index(fields=["budget", "period_start"], name="budget_total_of_budget")
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(spent__lt=10**15), name="budget_total_finite"
            )
        ]

    def __str__(self) -> str:
        return f"{self.spent}"


class TaggedSpend(models.Model):
    """What counted of one team against one budget that is limited to a tag, on one day.

    The bounded rollup of tags: as many rows as such budgets have days, whatever tags
    records bring. Written in the transaction that counts; re-derivable from the charges
    and their records.
    """

    pk = models.CompositePrimaryKey("team_id", "budget_id", "day")
    team = team_key()
    budget = models.ForeignKey(
        Budget, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    day = models.DateField(help_text="In the reporting zone.")
    cost = models.DecimalField(max_digits=30, decimal_places=15)

    class Meta:
        db_table = "billing_tagged_spend"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(cost__lt=10**15), name="tagged_spend_finite"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.cost}"


class TeamLedger(models.Model):
    """One row a team, locked by whoever counts, or sets totals from the rollups."""

    team = models.OneToOneField(
        Team,
        models.DO_NOTHING,
        primary_key=True,
        db_constraint=False,
        related_name="+",
    )

    class Meta:
        db_table = "billing_team_ledger"

    def __str__(self) -> str:
        return f"team {self.team_id}"
