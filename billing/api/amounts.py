"""How amounts are read from requests: exact, in plain notation."""

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from billing.pricing import money


class AmountField(serializers.DecimalField):
    """An amount as text, such as "0.25", or as a JSON number: both are exact."""

    default_error_messages = {"invalid": 'Expected an amount such as "6000" or "0.25".'}

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, str):
            try:
                data = money.amount(data)
            except ValueError:
                self.fail("invalid")
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("invalid")
        return super().to_internal_value(data)
