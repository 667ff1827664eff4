"""Fields of forms on pages: numbers as people type them, days as moments."""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from billing.pricing import money
from teams.models import Organization
from teams.reporting_days import ReportingDays

MAX_PERCENT = 1000
_MOST_PERCENTS = 20
_ONE_DAY = timedelta(days=1)
# As people write amounts: perhaps a currency's sign, perhaps groups of thousands.
_TYPED = re.compile(
    r"-?[$€£]?[ \u00a0\u202f]?"
    r"(?:[0-9]+|[0-9]{1,3}(?:[, \u00a0\u202f'][0-9]{3})+)(?:\.[0-9]+)?"
)
_NUMBER = re.compile(
    r"-?(?:[0-9]+|[0-9]{1,3}(?:[, _\u00a0\u202f'][0-9]{3})+|(?=\.))(?:\.[0-9]+)?"
)
_DECORATION = re.compile(r"[^-0-9.]")
_AMOUNT_ERRORS = {
    "required": "Type an amount.",
    "invalid": "Type an amount, such as 6000 or 6,000.50.",
}
# The years that a record may lie in.
_FIRST, _LAST = date(2000, 1, 1), date(2199, 12, 31)
_SEPARATORS = re.compile(r"[\s,;%]+")


class AmountField(forms.DecimalField):
    """An amount of the organization's currency: `6000`, `$6,000.50`."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("min_value", Decimal(0))
        kwargs.setdefault("error_messages", _AMOUNT_ERRORS)
        super().__init__(max_digits=21, decimal_places=9, **kwargs)

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if text and not _TYPED.fullmatch(text):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(_DECORATION.sub("", text))

    def prepare_value(self, value: Any) -> Any:
        return money.plain(value) if isinstance(value, Decimal) else value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {}


def suggested(written: str) -> Decimal | None:
    """An amount that an address fills a form in with; None where it is none."""
    try:
        found: Decimal | None = AmountField(required=False).clean(written)
    except ValidationError:
        return None
    return found


class NumberField(forms.DecimalField):
    """A number as people type it: `1,000` or `2.5 %`."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    default_error_messages = {
        "invalid": "Write a number, such as 1000 or 2.5.",
        "min_value": "This is at least %(limit_value)s.",
        "max_value": "This is at most %(limit_value)s.",
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", False)
        kwargs.setdefault("min_value", Decimal(0))
        super().__init__(max_digits=21, decimal_places=9, **kwargs)

    def to_python(self, value: Any) -> Any:
        text = str(value if value is not None else "").replace("%", "").strip()
        # A comma that sets no group of three off could be a decimal point.
        if text and not _NUMBER.fullmatch(text):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(_DECORATION.sub("", text))

    def prepare_value(self, value: Any) -> Any:
        return money.plain(value) if isinstance(value, Decimal) else value

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {}


class CountField(NumberField):
    """The same for what there are whole ones of. Cleaned: an int."""

    default_error_messages = {"invalid": "Write a whole number, such as 1000."}

    def clean(self, value: Any) -> Any:
        number = super().clean(value)
        if number is None:
            return None
        if number != number.to_integral_value():
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return int(number)


class PercentField(forms.IntegerField):
    """A whole percentage: `50` or `50 %`."""

    widget = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})

    def to_python(self, value: Any) -> Any:
        text = str(value or "").replace("%", "").strip()
        if text and not (text.isascii() and text.isdigit()):
            raise forms.ValidationError("Write a whole percentage, such as 50.")
        return super().to_python(text[:5])

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {}


class PercentsField(forms.CharField):
    """Percentages in one line: `50, 80`. Cleaned: a tuple of whole numbers, in order."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else ", ".join(map(str, value or ()))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        written = [one for one in _SEPARATORS.split(text) if one]
        if not all(one.isascii() and one.isdigit() for one in written):
            raise forms.ValidationError("Write whole percentages, such as 50, 80.")
        levels = {int(one[:5]) for one in written}
        if not all(0 < level <= MAX_PERCENT for level in levels):
            raise forms.ValidationError(f"A threshold is from 1 to {MAX_PERCENT} %.")
        if len(levels) > _MOST_PERCENTS:
            raise forms.ValidationError(f"Write up to {_MOST_PERCENTS} percentages.")
        return tuple(sorted(levels))


class LastDayField(forms.DateField):
    """The last day of something that ends with it."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        if day is not None and not _FIRST <= day <= _LAST:
            raise forms.ValidationError("A day is from 2000 to 2199.")
        return day


def add_errors(
    form: forms.Form, error: ValidationError, names: Mapping[str, str] = {}
) -> None:
    """What is refused, beside the field it is about; `names` are those of our fields."""
    said = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    for name, sentences in said.items():
        field = names.get(name, name)
        form.add_error(field if field in form.fields else None, sentences)


def end_of(day: date | None, organization: Organization) -> datetime | None:
    """The moment at which a day is over, in the reporting zone."""
    return None if day is None else ReportingDays(organization).start(day + _ONE_DAY)


def last_day(end: datetime | None, organization: Organization) -> date | None:
    """The last day that something lasts which ends at this moment."""
    if end is None:
        return None
    return ReportingDays(organization).day(end - timedelta(microseconds=1))
