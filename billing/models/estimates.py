from datetime import date, datetime
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from billing.models.catalog import LanguageModel
from billing.models.ledger import Counts
from billing.models.samples import Sample
from billing.pricing.budget_periods import Period, months_later
from billing.pricing.levers import Factor, Ttl
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing
from teams.models import Project, Team
from teams.reporting_days import ReportingDays

MOST_MONTHS = 12
MOST_MODELS = 20
MOST_SOURCE = 2_000  # characters
_PROCESSINGS = [
    (one.value, one.value.capitalize()) for one in (Processing.STANDARD, Processing.BATCH)
]
_TTLS = [
    (Ttl.NONE.value, "Not cached"),
    (Ttl.FIVE_MINUTES.value, "5 minutes"),
    (Ttl.ONE_HOUR.value, "1 hour"),
]


def _bounded(least: int, most: int) -> list[MinValueValidator | MaxValueValidator]:
    return [MinValueValidator(least), MaxValueValidator(most)]


class Scenario(models.TextChoices):
    LIGHT = "light", "Light"
    MEDIUM = "medium", "Medium"
    HEAVY = "heavy", "Heavy"


class EstimateQuerySet(models.QuerySet["Estimate"]):
    def with_scope(self) -> "EstimateQuerySet":
        """With all that `scope` reads."""
        return self.select_related("team__organization", "project")

    def covering(self, month: date) -> "EstimateQuerySet":
        """Those that plan the month with this first day."""
        covers = models.Q()
        for before in range(MOST_MONTHS):
            covers |= models.Q(month=months_later(month, -before), months__gt=before)
        return self.filter(covers)

    def by_weight(self) -> "EstimateQuerySet":
        """The one approved last first, then what was submitted, then drafts."""
        return self.order_by(
            models.F("approved_at").desc(nulls_last=True),
            models.F("submitted_at").desc(nulls_last=True),
            "-created_at",
            "-pk",
        )


class Estimate(models.Model):
    """What a team or a project plans to spend, month by month.

    Of those approved, the newest that covers a month is its plan.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        SUBMITTED = "submitted", "Submitted"
        APPROVED = "approved", "Approved"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="estimates")
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="estimates",
        help_text="Empty: the whole team.",
    )
    month = models.DateField("first month", help_text="Its first day.")
    months = models.PositiveSmallIntegerField(
        default=1, validators=_bounded(1, MOST_MONTHS), help_text="How many it covers."
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    plan = models.CharField(
        "planned scenario",
        max_length=10,
        choices=Scenario.choices,
        default=Scenario.MEDIUM,
        help_text="Which of the three the actual spend is held against.",
    )
    contingency_percent = models.PositiveSmallIntegerField(
        default=0,
        validators=_bounded(0, 100),
        help_text="What the proposed cap has on top of the plan.",
    )
    sample = models.ForeignKey(
        Sample,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="estimates",
        help_text="Whose requests its levers were filled in with.",
    )
    reference = models.ForeignKey(
        LanguageModel,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        help_text="Whose tokens its levers count. Empty: of the one with most requests.",
    )
    source = models.TextField(
        blank=True,
        default="",
        help_text="Where its tokens per request come from, in a sentence.",
    )
    note = models.TextField(blank=True)
    priced_at = models.DateTimeField(
        editable=False, help_text="The rates in force at this moment priced it."
    )
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(editable=False)
    changed_by = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Who saved it last.",
    )
    submitted_by = models.CharField(max_length=200, blank=True, default="", editable=False)
    submitted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Null: an API key submitted it, or nobody did.
    submitter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    approved_by = models.CharField(max_length=200, blank=True, editable=False)
    approved_at = models.DateTimeField(null=True, blank=True, editable=False)
    decision_note = models.TextField(
        blank=True,
        default="",
        editable=False,
        help_text="What was said when it was sent back.",
    )

    objects = EstimateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(months__gte=1, months__lte=MOST_MONTHS),
                name="estimate_months_bounded",
            ),
            models.CheckConstraint(
                condition=models.Q(contingency_percent__lte=100),
                name="estimate_contingency_bounded",
            ),
            models.CheckConstraint(
                condition=models.Q(state="approved", approved_at__isnull=False)
                & ~models.Q(approved_by="")
                | ~models.Q(state="approved") & models.Q(approved_at=None, approved_by=""),
                name="approved_estimate_says_by_whom",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="draft") | models.Q(submitted_at=None),
                name="draft_estimate_is_not_submitted",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="submitted")
                | models.Q(submitted_at__isnull=False),
                name="submitted_estimate_says_when",
            ),
        ]
        indexes = [
            models.Index(
                fields=["team", "month"],
                condition=models.Q(state="approved"),
                name="estimate_approved",
            )
        ]

    def __str__(self) -> str:
        return f"estimate #{self.pk} for {self.month:%Y-%m}"

    @property
    def scope(self) -> str:
        """What it is for, in words. Reads the team or project: select them."""
        if self.project is not None:
            return f"project {self.project.slug}"
        return f"team {self.team.slug}"

    @property
    def covered_months(self) -> list[date]:
        """The first day of each month that it plans."""
        return [months_later(self.month, number) for number in range(self.months)]

    @property
    def period(self) -> Period:
        return Period(self.month, months_later(self.month, self.months))

    @property
    def version(self) -> str:
        """Another one whenever it is saved: what was looked at and is decided on."""
        return self.priced_at.isoformat()

    def moment(self, at: datetime) -> str:
        """As it stands in sentences, in the reporting zone. Reads the organization."""
        zone = ReportingDays(self.team.organization).zone(at)
        local = at.astimezone(zone)
        return f"on {local.day} {local:%b %Y} at {local:%H:%M} ({zone.key})"

    def check_owner(self, now: datetime) -> None:
        """Raises ValidationError: a project is planned by the team that owns it."""
        if self.project is None:
            return
        owned = Project.objects.owned_by(self.team, now)
        if not owned.filter(pk=self.project.pk).exists():
            raise ValidationError({"project": "This team does not own the project."})


class EstimateLine(Counts):
    """One model in one scenario and processing: a month's requests and tokens, and what
    they cost."""

    estimate = models.ForeignKey(Estimate, on_delete=models.CASCADE, related_name="lines")
    month = models.DateField(help_text="Its first day; a month of the estimate.")
    model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="+")
    processing = models.CharField(
        max_length=10, choices=_PROCESSINGS, default=Processing.STANDARD.value
    )
    scenario = models.CharField(max_length=10, choices=Scenario.choices)
    requests = models.BigIntegerField()
    cost = models.DecimalField(max_digits=27, decimal_places=15, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["estimate", "month", "model", "processing", "scenario"],
                name="one_line_per_month_model_and_scenario",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    requests__gte=0, **{f"{name}__gte": 0 for name in TokenClass}
                ),
                name="estimate_counts_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(cost__gte=0, cost__lt=10**12),
                name="estimate_cost_finite",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scenario}: {self.cost}"

    @property
    def written(self) -> int:
        """To the cache, for however long."""
        return self.cache_write_5m + self.cache_write_1h


class EstimateShape(models.Model):
    """One scenario of an estimate before it is multiplied out: how many requests, and
    what one of them is like. An estimate made from lines has none.

    A model whose requests are known to be of their own kind has shapes of its own.
    """

    estimate = models.ForeignKey(Estimate, on_delete=models.CASCADE, related_name="shapes")
    model = models.ForeignKey(
        LanguageModel,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: of all that have none of their own.",
    )
    scenario = models.CharField(max_length=10, choices=Scenario.choices)
    requests_per_day = models.DecimalField(
        max_digits=21,
        decimal_places=9,
        help_text="Of each user, where the number of users is given.",
    )
    users = models.PositiveIntegerField(null=True, blank=True)
    active_days = models.PositiveSmallIntegerField(
        default=31, help_text="In a month; a shorter month has as many as it has."
    )
    growth_percent = models.DecimalField(
        max_digits=14, decimal_places=9, default=Decimal(), help_text="A month."
    )
    batch_percent = models.DecimalField(max_digits=12, decimal_places=9, default=Decimal())
    prefix_tokens = models.PositiveIntegerField(
        default=0, help_text="The part of the prompt that requests repeat."
    )
    prefix_percent = models.DecimalField(
        max_digits=12,
        decimal_places=9,
        default=Decimal(100),
        help_text="Of the requests that begin with it.",
    )
    cache_ttl = models.CharField(
        max_length=2, choices=_TTLS, blank=True, default=Ttl.NONE.value
    )
    hit_percent = models.DecimalField(
        max_digits=12,
        decimal_places=9,
        default=Decimal(),
        help_text="Of those, that find the prefix in the cache.",
    )
    input_tokens = models.PositiveIntegerField(help_text="The rest of the prompt.")
    output_tokens = models.PositiveIntegerField(help_text="Thinking included.")
    thinking_percent = models.DecimalField(
        max_digits=12, decimal_places=9, default=Decimal(), help_text="Of the output."
    )
    searches_per_1000 = models.PositiveIntegerField(
        default=0, help_text="Web searches in 1,000 requests."
    )
    input_audio_per_1000 = models.PositiveBigIntegerField(default=0)
    cache_read_audio_per_1000 = models.PositiveBigIntegerField(default=0)
    output_audio_per_1000 = models.PositiveBigIntegerField(default=0)
    output_image_per_1000 = models.PositiveBigIntegerField(default=0)
    session_per_1000 = models.PositiveBigIntegerField(
        default=0, help_text="Milliseconds of sessions in 1,000 requests."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["estimate", "scenario", "model"],
                name="one_shape_per_scenario",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(
                    requests_per_day__gte=0,
                    requests_per_day__lt=10**12,
                    active_days__gte=1,
                    active_days__lte=31,
                    growth_percent__gte=-100,
                    growth_percent__lte=10_000,
                ),
                name="estimate_volume_bounded",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    batch_percent__gte=0,
                    batch_percent__lte=100,
                    prefix_percent__gte=0,
                    prefix_percent__lte=100,
                    hit_percent__gte=0,
                    hit_percent__lte=100,
                    thinking_percent__gte=0,
                    thinking_percent__lte=100,
                ),
                name="estimate_percents_bounded",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scenario} of estimate {self.estimate_id}"


class EstimateModel(models.Model):
    """A model of an estimate with levers: how much of the requests it gets.

    One that gets none is compared with the others and makes no line.
    """

    estimate = models.ForeignKey(Estimate, on_delete=models.CASCADE, related_name="models")
    model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="+")
    share_percent = models.DecimalField(max_digits=12, decimal_places=9, default=Decimal())
    token_factor = models.DecimalField(
        max_digits=11,
        decimal_places=9,
        default=Decimal(1),
        help_text="Tokens that it counts where the shape has one.",
    )
    # Null: the factor is not in doubt.
    factor_low = models.DecimalField(
        max_digits=11, decimal_places=9, null=True, help_text="It may be as little."
    )
    factor_high = models.DecimalField(
        max_digits=11, decimal_places=9, null=True, help_text="It may be as much."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["estimate", "model"], name="one_share_per_model"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    share_percent__gte=0,
                    share_percent__lte=100,
                    token_factor__gt=0,
                    token_factor__lte=10,
                ),
                name="estimate_model_bounded",
            ),
            models.CheckConstraint(
                condition=models.Q(factor_low=None, factor_high=None)
                | models.Q(
                    factor_low__gt=0,
                    factor_low__lte=models.F("token_factor"),
                    factor_high__gte=models.F("token_factor"),
                    factor_high__lte=10,
                ),
                name="estimate_factor_in_its_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.share_percent} % of estimate {self.estimate_id}"

    @property
    def factor(self) -> Factor:
        mid = self.token_factor
        return Factor(
            mid if self.factor_low is None else self.factor_low,
            mid,
            mid if self.factor_high is None else self.factor_high,
        )
