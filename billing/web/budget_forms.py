"""Forms of budgets: the terms, a raise that is asked for, and what is decided of it."""

import calendar
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from django import forms

from billing.models import Budget, LanguageModel, RaiseRequest
from billing.pricing.budget_periods import PeriodKind
from billing.pricing.caps import DEFAULT_FORECAST_ALERT, DEFAULT_THRESHOLDS
from billing.pricing.usage import Processing
from billing.reports.raises import Decided
from billing.web.fields import (
    AmountField,
    LastDayField,
    PercentField,
    PercentsField,
    end_of,
    last_day,
)
from teams.models import Organization, Project, Team

_KINDS = [(kind.value, kind.value.capitalize()) for kind in PeriodKind]
_WEEKDAYS = [(str(number), name) for number, name in enumerate(calendar.day_name)]
_MONTHS = [(str(number), calendar.month_name[number]) for number in range(1, 13)]
_PROCESSINGS = [(one.value, one.value.capitalize()) for one in Processing]
_TEAM = "team"
_ONE_DAY = timedelta(days=1)
_MOST_VALUES = 100  # of a tag
_LONGEST_VALUE = 200
# What a budget calls them, and we.
NAMES = {"custom_until": "custom_last", "expires_on": "last_day"}
_HARD = [("soft", "Alert only (soft)"), ("hard", "Refuse further calls (hard)")]


def _day_after(day: date | None) -> date | None:
    return None if day is None else day + _ONE_DAY


def _reason(help_text: str) -> forms.CharField:
    return forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=1000,
        help_text=help_text,
        error_messages={"required": "Say why: who reads it later will ask."},
    )


class TermsForm(forms.Form):
    """What can be changed of a budget."""

    amount = AmountField(label="Cap", help_text="Per period.")
    hard = forms.ChoiceField(label="When the cap is reached", choices=_HARD, initial="soft")
    thresholds = PercentsField(
        label="Alert at, in percent",
        required=False,
        initial=DEFAULT_THRESHOLDS,
        help_text="Such as 50, 80. The cap itself always alerts.",
    )
    forecast_alert = PercentField(
        label="Alert when the cap is likely to be passed, from percent",
        required=False,
        min_value=1,
        max_value=99,
        initial=DEFAULT_FORECAST_ALERT,
        help_text="How likely, by the forecast. Empty: no such alert.",
    )
    reason = _reason("Why. It stands in the history beside your name.")
    exempt_free = forms.BooleanField(
        label="Models that cost nothing pass, even over the cap",
        required=False,
        initial=True,
    )
    last_day = LastDayField(
        label="Last day of this budget",
        required=False,
        help_text="After it, it raises and refuses nothing. Empty: it has no end.",
    )

    more: tuple[str, ...] = ("exempt_free", "last_day")  # what few need: folded away

    @classmethod
    def of(
        cls, budget: Budget, data: Any = None, *, amount: Decimal | None = None
    ) -> "TermsForm":
        """Filled in with its terms; with another amount, where one is suggested."""
        ends = budget.expires_on
        return cls(
            data,
            initial={
                "amount": budget.amount if amount is None else amount,
                "hard": "hard" if budget.hard else "soft",
                "thresholds": tuple(budget.thresholds),
                "forecast_alert": budget.forecast_alert,
                "exempt_free": budget.exempt_free,
                "last_day": ends - _ONE_DAY if ends else None,
            },
        )

    @property
    def main_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in self.more]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name in self.more]

    @property
    def shows_more(self) -> bool:
        """Whether something folded away is filled in, or wrong."""
        return "period" in self.errors or any(
            field.errors or field.value() not in (None, "", [], True, "0", "1")
            for field in self.more_fields
        )

    @property
    def has_terms(self) -> bool:
        """Whether all is said but why: enough for a preview."""
        return self.is_bound and not self.has_wrong_terms

    @property
    def has_wrong_terms(self) -> bool:
        return bool(self.errors.keys() - {"reason"})

    @property
    def terms(self) -> dict[str, Any]:
        """The cleaned values, by the names that terms have."""
        data = self.cleaned_data
        return {
            "amount": data["amount"],
            "hard": data["hard"] == "hard",
            "thresholds": data["thresholds"],
            "forecast_alert": data["forecast_alert"],
            "exempt_free": data["exempt_free"],
            "expires_on": _day_after(data["last_day"]),
        }


class NewBudgetForm(TermsForm):
    """A budget of an organization, or of a team and the projects it owns."""

    scope = forms.ChoiceField(label="For")
    period = forms.ChoiceField(
        choices=_KINDS,
        initial=PeriodKind.MONTH.value,
        help_text="Cut in the reporting zone; several budgets may run at once. The days of "
        "a custom period are typed below, under Limits.",
    )
    custom_first = LastDayField(label="First day of a custom period", required=False)
    custom_last = LastDayField(label="Last day of a custom period", required=False)
    week_starts_on = forms.TypedChoiceField(
        label="Weeks start on", choices=_WEEKDAYS, coerce=int, initial="0", required=False
    )
    fiscal_starts_in = forms.TypedChoiceField(
        label="Quarters and years are counted from",
        choices=_MONTHS,
        coerce=int,
        initial="1",
        required=False,
    )
    model_ids = forms.TypedMultipleChoiceField(
        label="Only these models",
        coerce=int,
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 8}),
        help_text="None chosen: all of them.",
    )
    processing = forms.MultipleChoiceField(
        label="Only this processing",
        choices=_PROCESSINGS,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    tag_key = forms.CharField(
        label="Only records with the tag", max_length=64, required=False
    )
    tag_values = forms.CharField(
        label="and one of these values",
        required=False,
        help_text="Separated by commas.",
    )

    more = (
        *("custom_first", "custom_last", "week_starts_on", "fiscal_starts_in"),
        *("model_ids", "processing", "tag_key", "tag_values", *TermsForm.more),
    )
    field_order = (
        *("scope", "period", "amount", "hard", "thresholds", "forecast_alert", "reason"),
        *more,
    )

    def __init__(
        self,
        data: Any = None,
        *,
        organization: Organization,
        team: Team | None,
        projects: Sequence[Project] = (),
        amount: Decimal | None = None,
        project: str = "",
    ) -> None:
        """`amount` and `project` (its slug) are what it is filled in with, at first."""
        chosen = [f"project {one.pk}" for one in projects if one.slug == project]
        initial = {"amount": amount, **({"scope": chosen[0]} if chosen else {})}
        super().__init__(data, initial=initial)
        self._organization, self._team = organization, team
        self._projects = {f"project {one.pk}": one for one in projects}
        models = LanguageModel.objects.order_by("provider", "name")
        field = self.fields["model_ids"]
        field.choices = [  # type: ignore[attr-defined]
            (provider, [(one.pk, one.name) for one in its])
            for provider, its in groupby(models, key=lambda one: one.provider)
        ]
        if team is None:
            del self.fields["scope"]
            return
        self.fields["scope"] = forms.ChoiceField(
            label="For",
            choices=[
                (_TEAM, f"Team {team.name}"),
                *((key, f"Project {one.name}") for key, one in self._projects.items()),
            ],
        )

    def clean_tag_values(self) -> list[str]:
        written = str(self.cleaned_data["tag_values"]).split(",")
        values = sorted({value.strip() for value in written} - {""})
        if len(values) > _MOST_VALUES:
            raise forms.ValidationError(f"Write up to {_MOST_VALUES} values.")
        if any(len(value) > _LONGEST_VALUE for value in values):
            raise forms.ValidationError(f"A value has at most {_LONGEST_VALUE} characters.")
        return values

    @property
    def project(self) -> Project | None:
        return self._projects.get(self.cleaned_data.get("scope", ""))

    @property
    def budget(self) -> Budget:
        """What it would be; not saved."""
        data = self.cleaned_data
        return Budget(
            organization=self._organization,
            team=None if self.project else self._team,
            project=self.project,
            period=data["period"],
            week_starts_on=data["week_starts_on"] or 0,
            fiscal_starts_in=data["fiscal_starts_in"] or 1,
            custom_first=data["custom_first"],
            custom_until=_day_after(data["custom_last"]),
            model_ids=data["model_ids"],
            processing=data["processing"],
            tag_key=data["tag_key"],
            tag_values=data["tag_values"],
            **self.terms,
        )


class EndForm(forms.Form):
    reason = _reason("Why it ends. It raises nothing more; its history stays.")


class _RaiseTerms(forms.Form):
    """A higher cap, for good or through a day."""

    amount = AmountField(label="New cap")
    through = LastDayField(
        label="Through",
        required=False,
        help_text="Its last day: the cap then falls back by itself. Empty: for good.",
    )

    def __init__(
        self,
        data: Any = None,
        *,
        organization: Organization,
        today: date,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self._organization, self._today = organization, today
        self.fields["through"].widget.attrs["min"] = today.isoformat()

    def clean_through(self) -> date | None:
        through: date | None = self.cleaned_data["through"]
        if through is not None and through < self._today:
            raise forms.ValidationError("This day is over.")
        return through

    @property
    def until(self) -> datetime | None:
        return end_of(self.cleaned_data["through"], self._organization)


class AskForm(_RaiseTerms):
    """A lead asks."""

    reason = _reason("What it is needed for. The approver reads it beside the chart.")


class DecisionForm(_RaiseTerms):
    """An approver decides, perhaps at other terms."""

    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=1000,
        required=False,
        help_text="For whoever asked, and for the history.",
    )

    @classmethod
    def of(
        cls, request: RaiseRequest, decided: Decided, today: date, data: Any = None
    ) -> "DecisionForm":
        """Filled in with the terms that somebody approved, which a second has to repeat,
        or with those asked for."""
        organization = request.budget.organization
        form = cls(
            data,
            organization=organization,
            today=today,
            initial={
                "amount": decided.amount,
                "through": last_day(decided.until, organization),
            },
        )
        form._decided = decided
        return form

    _decided: Decided

    @property
    def until(self) -> datetime | None:
        """Exactly what it was filled in with, unless another day was chosen."""
        return super().until if "through" in self.changed_data else self._decided.until
