from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models

from billing.models.catalog import LanguageModel
from billing.pricing.token_classes import TokenClass
from billing.pricing.usage import Processing, Speed
from teams.models import Organization

PRICE_FIELDS = tuple(token_class.value for token_class in TokenClass)


class RateCard(models.Model):
    """A set of rates: a provider's list prices, or an organization's contract over them."""

    class Kind(models.TextChoices):
        LIST = "list", "List"
        CONTRACT = "contract", "Contract"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=200, unique=True)
    provider = models.CharField(max_length=40)
    currency = models.CharField(max_length=3, default="USD")
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="rate_cards",
        null=True,
        blank=True,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="list", organization=None)
                | models.Q(kind="contract", organization__isnull=False),
                name="contract_card_has_an_organization",
            ),
            models.UniqueConstraint(
                fields=["provider"],
                condition=models.Q(kind="list"),
                name="one_list_card_per_provider",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Publication(models.Model):
    """A batch of rates put on a card together, by a named person, for a reason.

    While a draft its rates may change; published ones never do, in SQL neither: they are
    replaced by later rates, and the order of publication decides between equal instants.
    Until its first rate starts a publication can be withdrawn.
    """

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        WITHDRAWN = "withdrawn", "Withdrawn"

    card = models.ForeignKey(
        RateCard, on_delete=models.PROTECT, related_name="publications"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    note = models.TextField(blank=True)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    published_by = models.CharField(max_length=200, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.CharField(max_length=200, blank=True, default="")
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="withdrawn", withdrawn_at__isnull=False)
                & ~models.Q(withdrawn_by="")
                | ~models.Q(state="withdrawn")
                & models.Q(withdrawn_at=None, withdrawn_by=""),
                name="withdrawal_says_who_and_when",
            ),
            models.CheckConstraint(
                condition=models.Q(state="draft", published_at=None, published_by="")
                | (
                    ~models.Q(state="draft")
                    & models.Q(published_at__isnull=False)
                    & ~models.Q(published_by="")
                ),
                name="publication_says_who_and_when",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.card} #{self.pk} ({self.state})"


class RateQuerySet(models.QuerySet["Rate"]):
    def published(self) -> "RateQuerySet":
        """In the order in which later rates win over earlier ones of one instant."""
        return self.filter(publication__state=Publication.State.PUBLISHED).order_by(
            "publication__published_at", "pk"
        )


def _price(unit: str) -> "models.DecimalField[Decimal | None, Decimal | None]":
    return models.DecimalField(
        max_digits=18,
        decimal_places=9,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=f"Per {unit}. Empty means: no price is known.",
    )


class Rate(models.Model):
    """The price of one model's token classes under stated conditions, from an instant on.

    It is in force until the next rate of the same model and conditions; a *stop* ends
    the series without a successor. Prices are in the card's currency.
    """

    publication = models.ForeignKey(
        Publication, on_delete=models.PROTECT, related_name="rates"
    )
    model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="rates")
    processing = models.CharField(
        max_length=10,
        choices=[(p.value, p.value) for p in Processing],
        default="standard",
    )
    speed = models.CharField(
        max_length=10, choices=[(s.value, s.value) for s in Speed], default="standard"
    )
    geo = models.CharField(max_length=32, default="global")
    endpoint = models.CharField(max_length=32, default="global")
    context_tier = models.PositiveIntegerField(
        default=0,
        help_text="Applies to the whole request above this many input tokens; 0: always.",
    )
    effective_from = models.DateTimeField()
    stop = models.BooleanField(
        default=False, help_text="Ends the series instead of setting prices."
    )
    input = _price("1,000,000 tokens")
    cache_write_5m = _price("1,000,000 tokens")
    cache_write_1h = _price("1,000,000 tokens")
    cache_read = _price("1,000,000 tokens")
    output = _price("1,000,000 tokens")
    web_search = _price("1,000 searches")
    input_audio = _price("1,000,000 tokens")
    cache_read_audio = _price("1,000,000 tokens")
    output_audio = _price("1,000,000 tokens")
    output_image = _price("1,000,000 tokens")
    session = _price("hour")
    source = models.CharField(max_length=300)
    observed_on = models.DateField()
    confirmation = models.TextField(
        default="",
        blank=True,
        help_text="Why a price far from all others is right. Needed for those.",
    )

    objects = RateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(stop=False) | models.Q(**dict.fromkeys(PRICE_FIELDS)),
                name="stop_sets_no_price",
            ),
            # NUMERIC stores NaN, and NaN passes every comparison but this one.
            *(
                models.CheckConstraint(
                    condition=models.Q(**{f"{field}__gte": 0, f"{field}__lt": 10**9})
                    | models.Q(**{field: None}),
                    name=f"rate_{field}_finite",
                )
                for field in PRICE_FIELDS
            ),
            models.UniqueConstraint(
                fields=[
                    "publication",
                    "model",
                    "processing",
                    "speed",
                    "geo",
                    "endpoint",
                    "context_tier",
                    "effective_from",
                ],
                name="one_rate_per_condition_and_instant",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.effective_from:%Y-%m-%d}"
