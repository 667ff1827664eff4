"""How amounts are typed in the admin: exact, and without zeros that say nothing."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.db import models

from billing.pricing import money


class AmountField(forms.DecimalField):
    def prepare_value(self, value: Any) -> Any:
        return money.plain(value) if isinstance(value, Decimal) else value


TYPED: Mapping[type["models.Field[Any, Any]"], Mapping[str, Any]] = {
    models.DecimalField: {"form_class": AmountField}
}
