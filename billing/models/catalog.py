from django.db import models


class LanguageModel(models.Model):
    """A provider's model, under the one name we use for it."""

    provider = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    display_name = models.CharField(max_length=200)
    family = models.CharField(max_length=40)
    context_window = models.PositiveIntegerField(
        null=True, blank=True, help_text="Tokens. Empty where the provider names none."
    )

    class Meta:
        verbose_name = "model"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "name"], name="model_name_unique_per_provider"
            )
        ]

    def __str__(self) -> str:
        return self.display_name

    @property
    def key(self) -> str:
        """How the pricing engine names it."""
        return f"{self.provider}/{self.name}"


class Alias(models.Model):
    """One exact name a model is seen under. Names are never matched by their beginning."""

    model = models.ForeignKey(
        LanguageModel, on_delete=models.PROTECT, related_name="aliases"
    )
    provider = models.CharField(max_length=40)
    name = models.CharField(max_length=200)

    class Meta:
        verbose_name_plural = "aliases"
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "name"], name="alias_means_one_model"
            )
        ]

    def __str__(self) -> str:
        return self.name
