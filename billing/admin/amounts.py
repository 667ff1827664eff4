"""How amounts are typed in the admin: exact, and without zeros that say nothing."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from billing.pricing import money


class AmountField(forms.DecimalField):
    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and value:
            try:
                return money.amount(value.strip())
            except ValueError as error:
                raise ValidationError(
                    "Type an amount, such as 6000 or 0.25.", code="invalid"
                ) from error
        return super().to_python(value)

    def prepare_value(self, value: Any) -> Any:
        return money.plain(value) if isinstance(value, Decimal) else value


TYPED: Mapping[type["models.Field[Any, Any]"], Mapping[str, Any]] = {
    models.DecimalField: {"form_class": AmountField}
}
