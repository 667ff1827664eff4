from django.db import models

from teams.models import Organization


class ForecastErrors(models.Model):
    """How far forecasts of an organization's teams were off, all of them together.

    Measured by workers, who see every team; whoever sees some of them reads the same. As
    `billing.pricing.forecast.Spread` says it.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    down = models.DecimalField(max_digits=18, decimal_places=9)
    up = models.DecimalField(max_digits=18, decimal_places=9)
    stretches = models.DecimalField(max_digits=18, decimal_places=9)
    measured_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    down__gte=0,
                    down__lt=100,
                    up__gte=0,
                    up__lt=100,
                    stretches__gte=0,
                    stretches__lt=10**8,
                ),
                name="forecast_errors_finite",
            )
        ]

    def __str__(self) -> str:
        return f"−{self.down} +{self.up}"
