from typing import Any

from django.db import models

from billing.models.rates import Publication, RateCard
from billing.pricing.usage import Processing, Speed

# What a rate is stated for on its card, as columns of a proposal.
CONDITIONS = (
    "model_name",
    "processing",
    "speed",
    "geo",
    "endpoint",
    "context_tier",
    "effective_from",
)


class Proposal(models.Model):
    """A rate that a source states and a list card does not: for a person to decide.

    A source that states another price later changes an open proposal, and opens a new
    one beside what was decided; the same price is never proposed twice.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        DISMISSED = "dismissed", "Dismissed"
        LAPSED = "lapsed", "Lapsed"  # card and source agree by now

    card = models.ForeignKey(RateCard, on_delete=models.PROTECT, related_name="proposals")
    model_name = models.CharField(
        max_length=200, help_text="Without the provider. The model may not be known yet."
    )
    processing = models.CharField(
        max_length=10, choices=[(one.value, one.value) for one in Processing]
    )
    speed = models.CharField(
        max_length=10, choices=[(one.value, one.value) for one in Speed]
    )
    geo = models.CharField(max_length=32)
    endpoint = models.CharField(max_length=32)
    context_tier = models.PositiveIntegerField()
    effective_from = models.DateTimeField()
    stop = models.BooleanField(help_text="The source does not offer this any more.")
    prices = models.JSONField(help_text="Decimal strings by token class, as in a rate.")
    source = models.CharField(max_length=300)
    observed_on = models.DateField()
    found_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)
    publication = models.ForeignKey(
        Publication,
        on_delete=models.PROTECT,
        related_name="proposals",
        null=True,
        blank=True,
        help_text="The draft that an accepted one was put on.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["card", *CONDITIONS],
                condition=models.Q(state="open"),
                name="one_open_proposal_per_rate",
            ),
            models.CheckConstraint(
                condition=models.Q(state="accepted", publication__isnull=False)
                | ~models.Q(state="accepted") & models.Q(publication=None),
                name="accepted_proposal_is_on_a_publication",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_name} from {self.effective_from:%Y-%m-%d}"

    @property
    def conditions(self) -> tuple[Any, ...]:
        """Which rate of its card it is about."""
        return tuple(getattr(self, name) for name in CONDITIONS)
