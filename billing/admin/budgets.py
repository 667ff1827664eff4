"""Budgets with their revisions, and what was alerted."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from billing.actions import alert_messages, alert_states, budgets
from billing.actions.budgets import Limits, Terms
from billing.admin.access import ReadOnly, said, shown, user_of
from billing.admin.amounts import TYPED
from billing.admin.channels import ShowsChannel
from billing.models import Alert, Budget, BudgetRevision, Delivery, LanguageModel
from billing.pricing import caps, figures
from billing.pricing.usage import Processing
from billing.reports import budget_preview
from billing.reports import budgets as reports
from teams.admin import Kept, ReadOnlyInline, actor

# What a budget is for: said when it is made, and never again.
_FOR = (
    "organization",
    "team",
    "project",
    "models",
    "processing",
    "tag_key",
    "tag_values",
    "period",
    "week_starts_on",
    "fiscal_starts_in",
    "custom_first",
    "custom_until",
)
_TERMS = (
    *("amount", "hard", "thresholds", "forecast_alert"),
    *("expires_on", "exempt_free"),
)


class BudgetForm(forms.ModelForm):
    models = forms.ModelMultipleChoiceField(
        LanguageModel.objects.order_by("provider", "family", "name"),
        required=False,
        help_text="Only these count. None: all do.",
    )
    processing = forms.MultipleChoiceField(
        choices=[(one.value, one.value.capitalize()) for one in Processing],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Only these count. None: all do.",
    )
    tag_values = SimpleArrayField(
        forms.CharField(max_length=200),
        max_length=100,
        required=False,
        help_text="Separated by commas: records with one of these values count.",
    )
    thresholds = SimpleArrayField(
        forms.IntegerField(min_value=1, max_value=budgets.MAX_PERCENT),
        max_length=20,
        initial=list(caps.DEFAULT_THRESHOLDS),
        required=False,
        help_text="Percentages, such as 50, 80. The cap itself always alerts.",
    )
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        required=False,
        help_text="Why. It stands in the history beside your name.",
    )

    # The one that the form was opened at.
    seen_revision = forms.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, widget=forms.HiddenInput
    )

    class Meta:
        model = Budget
        fields = [name for name in (*_FOR, *_TERMS) if name != "models"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields["seen_revision"].initial = self.instance.revision

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.instance.pk is not None:
            # Held until it is saved: the admin's view is one transaction.
            budgets.check_revision(budgets.held(self.instance), data.get("seen_revision"))
        for bound in (data.get("team"), data.get("project")):
            if bound and bound.organization != data.get("organization"):
                raise forms.ValidationError(f"{bound} is in another organization.")
        is_new = self.instance.pk is None
        organization = data.get("organization") if is_new else self.instance.organization
        if organization and "expires_on" in self.changed_data:
            budgets.check_expiry(
                data.get("expires_on"),
                organization=organization,
                is_new=is_new,
                now=timezone.now(),
            )
        return data


class BudgetList(ChangeList):
    def get_results(self, request: HttpRequest) -> None:
        """With the status of each, all asked for at once."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        for status in reports.statuses(self.result_list, now=timezone.now()):
            status.budget.status = status  # type: ignore[attr-defined]


class RevisionInline(ReadOnlyInline):
    model = BudgetRevision
    readonly_fields = ("cap",)
    fields = (
        "revision",
        "cap",
        "hard",
        "thresholds",
        "forecast_alert",
        "expires_on",
        "exempt_free",
        "changed_by",
        "changed_at",
        "reason",
    )
    ordering = ("-revision",)

    @admin.display(description="cap")
    def cap(self, revision: BudgetRevision) -> str:
        cap = figures.amount(revision.amount)
        if revision.raised_to is None or revision.raised_until is None:
            return cap
        until = timezone.localtime(revision.raised_until)
        raised = figures.amount(revision.raised_to)
        return f"{raised} until {until:%Y-%m-%d %H:%M %Z}, then {cap}"


class _ShowsAmounts:
    """Of an alert: what it says, written as on the pages."""

    @admin.display(description="level", ordering="threshold")
    def level(self, alert: Alert) -> str:
        return "–" if alert.threshold is None else f"{alert.threshold}{figures.THIN}%"

    @admin.display(description="spent then", ordering="spent")
    def spent_shown(self, alert: Alert) -> str:
        return "–" if alert.spent is None else figures.amount(alert.spent)

    @admin.display(description="cap", ordering="cap")
    def cap_shown(self, alert: Alert) -> str:
        return "–" if alert.cap is None else figures.amount(alert.cap)


class AlertInline(_ShowsAmounts, ReadOnlyInline):
    model = Alert
    readonly_fields = ("level", "spent_shown", "cap_shown")
    fields = ("period_start", "level", "state", "spent_shown", "cap_shown", "fired_at")
    ordering = ("-pk",)


_SHOWN = ("organization", "team", "project", "limits_shown", "window_shown")


@admin.register(Budget)
class BudgetAdmin(Kept):
    form = BudgetForm
    list_display = (
        "scope_shown",
        "window_shown",
        "state_shown",
        "amount_shown",
        "spent",
        "percent",
        "firing",
        "hard",
    )
    list_filter = ("period", "hard", "organization", "team")
    search_fields = ("team__name", "team__slug", "project__name", "project__slug")
    inlines = (RevisionInline, AlertInline)
    formfield_overrides = TYPED
    actions = ("archive",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BudgetList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return Budget.objects.active().with_scope()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*_SHOWN, "preview", "compare") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj:
            return [*_SHOWN, *_TERMS, "preview", "reason", "compare", "seen_revision"]
        return [*_FOR, *_TERMS, "reason"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        data = form.cleaned_data
        asked = form.changed_data if change else _TERMS
        terms = {name: data[name] for name in _TERMS if name in asked}
        if "thresholds" in terms:
            terms["thresholds"] = tuple(terms["thresholds"] or ())
        said = {"by": actor(request), "now": timezone.now(), "reason": data["reason"]}
        if change:
            budgets.amend(budget=obj, changes=terms, **said)
            return
        made = budgets.create(
            organization=obj.organization,
            team=obj.team,
            project=obj.project,
            limits=Limits(
                model_ids=tuple(model.pk for model in data["models"]),
                processing=tuple(data["processing"]),
                tag_key=data["tag_key"],
                tag_values=tuple(data["tag_values"]),
            ),
            period=obj.window.kind,
            week_starts_on=obj.week_starts_on,
            fiscal_starts_in=obj.fiscal_starts_in,
            custom=obj.window.custom,
            terms=Terms(**terms),
            **said,
        )
        obj.pk = made.pk

    @admin.action(description="Archive selected budgets", permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Budget]) -> None:
        for budget in queryset:
            budgets.archive(budget=budget, by=actor(request), now=timezone.now())

    @admin.display(description="for", ordering="pk")
    def scope_shown(self, budget: Budget) -> str:
        return budget.scope

    @admin.display(description="period", ordering="period")
    def window_shown(self, budget: Budget) -> str:
        return figures.window(budget.window)

    @admin.display(description="state")
    def state_shown(self, budget: Any) -> str:
        return str(budget.status.state)

    @admin.display(description="limited to")
    def limits_shown(self, budget: Budget) -> str:
        return ", ".join(budget.limits) or figures.NOTHING

    @admin.display(description="cap", ordering="amount")
    def amount_shown(self, budget: Budget) -> str:
        return shown(budget.cap(timezone.now()), budget.organization.currency)

    @admin.display(description="spent in this period")
    def spent(self, budget: Any) -> str:
        return shown(budget.status.spent, budget.organization.currency)

    @admin.display(description="used")
    def percent(self, budget: Any) -> str:
        return figures.percent(budget.status.percent)

    @admin.display(description="reached")
    def firing(self, budget: Any) -> str:
        levels = [f"{level}{figures.THIN}%" for level in budget.status.firing]
        return ", ".join(levels) or figures.NOTHING

    @admin.display(description="preview")
    def preview(self, budget: Budget) -> str:
        """What the terms in force would have said; others are tried in the editor."""
        said = budget_preview.budget_preview(budget, now=timezone.now())
        return format_html(
            '{}<br>{}<br><a href="{}?organization={}">Try other terms</a>',
            said.summary,
            said.outlook,
            reverse("edit-budget", args=[budget.pk]),
            budget.organization.slug,
        )

    @admin.display(description="estimate vs actual")
    def compare(self, budget: Budget) -> str:
        if budget.team is None:
            return "For budgets of teams."
        url = reverse("admin:billing_estimate_compare")
        return format_html('<a href="{}?team={}">This month</a>', url, budget.team_id)


class DeliveryInline(ShowsChannel, ReadOnlyInline):
    model = Delivery
    readonly_fields = ("channel_shown",)
    fields = (
        "channel_shown",
        "event",
        "state",
        "attempts",
        "due_at",
        "sent_at",
        "last_error",
    )


@admin.register(Alert)
class AlertAdmin(_ShowsAmounts, ReadOnly):
    list_display = (
        "fired_at",
        "kind",
        "of",
        "level",
        "state",
        "spent_shown",
        "cap_shown",
        "rerate",
    )
    list_filter = ("state", "kind", "threshold")
    readonly_fields = ("sentence",)
    ordering = ("-pk",)
    inlines = (DeliveryInline,)
    actions = ("acknowledge", "unacknowledge", "unsnooze")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return Alert.objects.select_related(
            *("budget__organization", "budget__team", "budget__project"),
            *("organization", "rerate"),
        )

    @admin.display(description="of")
    def of(self, alert: Alert) -> str:
        if alert.budget is None:
            return f"{alert.subject} in {alert.organization}"
        return f"{figures.window(alert.budget.window)} budget of {alert.budget.scope}"

    @admin.display(description="what has happened")
    def sentence(self, alert: Alert) -> str:
        return alert_messages.sentence(alert)

    def has_handle_permission(self, request: HttpRequest) -> bool:
        """No field of it is edited; what people do with it stands in its history."""
        return user_of(request).has_perm("billing.change_alert")

    @admin.action(description="Acknowledge selected alerts", permissions=["handle"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._each(request, queryset, alert_states.acknowledge)

    @admin.action(description="Give back selected alerts", permissions=["handle"])
    def unacknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._each(request, queryset, alert_states.unacknowledge)

    @admin.action(description="Wake selected alerts", permissions=["handle"])
    def unsnooze(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._each(request, queryset, alert_states.unsnooze)

    def _each(
        self, request: HttpRequest, alerts: QuerySet[Alert], act: Callable[..., None]
    ) -> None:
        for alert in alerts.order_by("pk"):
            try:
                act(alert=alert, **said(request))
            except ValidationError as error:
                text = f"{alert}: {' '.join(error.messages)}"
                self.message_user(request, text, messages.WARNING)
