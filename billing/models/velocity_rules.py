from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from teams.models import Organization, Project, Team

SHORTEST, LONGEST = 5, 1_440  # minutes
LONGEST_READ = 180  # where the charges are read each minute, for no sums tell it
_IN_AN_HOUR = 60
_TOO_LONG = (
    f"More than {LONGEST_READ} minutes are whole hours, and of all records: without a tag."
)


class VelocityRule(models.Model):
    """How much may be spent in a stretch of time before somebody is told.

    Of an organization, a team or a project; of all that it spends, or of the records that
    carry a tag. A rule does not change: it is ended, and another one made.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, related_name="velocity_rules"
    )
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="velocity_rules", null=True, blank=True
    )
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        related_name="velocity_rules",
        null=True,
        blank=True,
    )
    tag_key = models.CharField(max_length=64, blank=True, help_text="Empty: everything.")
    tag_value = models.CharField(max_length=200, blank=True)
    amount = models.DecimalField(
        max_digits=21,
        decimal_places=9,
        validators=[MinValueValidator(0)],
        help_text="In the organization's currency: so much, or more.",
    )
    minutes = models.PositiveSmallIntegerField(
        default=60,
        db_default=60,
        validators=[MinValueValidator(SHORTEST), MaxValueValidator(LONGEST)],
        help_text="Within so many minutes, 5 to 1,440.",
    )
    created_by = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team=None) | models.Q(project=None),
                name="velocity_rule_has_one_scope",
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gt=0, amount__lt=10**12),
                name="velocity_rule_amount_finite",
            ),
            models.CheckConstraint(
                condition=models.Q(minutes__range=(SHORTEST, LONGEST)),
                name="velocity_rule_minutes",
            ),
            models.CheckConstraint(
                condition=models.Q(tag_key="", tag_value="")
                | ~models.Q(tag_key="") & ~models.Q(tag_value=""),
                name="velocity_rule_tag_has_a_value",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount.normalize():f} in {self.minutes} minutes"

    def clean(self) -> None:
        """Raises ValidationError for a place in another organization, an amount or a tag
        that makes no sense, or a long stretch that only the charges tell."""
        for bound in (self.team, self.project):
            if bound is not None and bound.organization_id != self.organization_id:
                raise ValidationError("A rule is for something of its organization.")
        wrong = self._wrong_in_tag()
        if self.amount == 0:
            wrong["amount"] = "An amount is more than 0."
        if self.minutes > LONGEST_READ and not self.is_of_hours:
            wrong["minutes"] = _TOO_LONG
        if wrong:
            raise ValidationError(wrong)

    def _wrong_in_tag(self) -> dict[str, str]:
        if self.tag_key and not self.tag_value:
            return {"tag_value": "Say which value of the tag counts."}
        if self.tag_value and not self.tag_key:
            return {"tag_key": "Say which tag has this value."}
        return {}

    @property
    def is_of_hours(self) -> bool:
        """Whether the hourly sums tell it: of whole hours, and not of a tag."""
        return not self.tag_key and self.minutes % _IN_AN_HOUR == 0

    @property
    def window(self) -> timedelta:
        return timedelta(minutes=self.minutes)

    def since(self, now: datetime) -> datetime:
        """The beginning of the stretch that ends now."""
        return now - self.window
