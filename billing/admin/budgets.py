"""Budgets with their revisions, channels, and what was alerted and delivered."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from billing.actions import budgets
from billing.actions.budgets import Terms
from billing.admin.access import Kept, ReadOnly, ReadOnlyInline, actor, shown
from billing.models import Alert, Budget, BudgetRevision, Delivery
from billing.pricing import caps, figures, money
from billing.pricing.budget_periods import PeriodKind
from billing.reports import budgets as reports


class BudgetForm(forms.ModelForm):
    thresholds = SimpleArrayField(
        forms.IntegerField(min_value=1, max_value=budgets.MAX_PERCENT),
        initial=list(caps.DEFAULT_THRESHOLDS),
        required=False,
        help_text="Percentages, such as 50, 80. The cap itself always alerts.",
    )
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        required=False,
        help_text="Why. It stands in the history beside your name.",
    )

    class Meta:
        model = Budget
        fields = (
            "organization",
            "team",
            "project",
            "period",
            "amount",
            "hard",
            "thresholds",
        )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for bound in (data.get("team"), data.get("project")):
            if bound and bound.organization != data.get("organization"):
                raise forms.ValidationError(f"{bound} is in another organization.")
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
    fields = (
        "revision",
        "amount",
        "hard",
        "thresholds",
        "changed_by",
        "changed_at",
        "reason",
    )
    ordering = ("-revision",)


class AlertInline(ReadOnlyInline):
    model = Alert
    fields = ("period_start", "threshold", "state", "spent", "cap", "fired_at")
    ordering = ("-pk",)


@admin.register(Budget)
class BudgetAdmin(Kept):
    form = BudgetForm
    list_display = (
        "scope_shown",
        "period",
        "amount_shown",
        "spent",
        "percent",
        "firing",
        "hard",
    )
    list_filter = ("period", "hard", "organization", "team")
    search_fields = ("team__name", "team__slug", "project__name", "project__slug")
    inlines = (RevisionInline, AlertInline)
    actions = ("archive",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BudgetList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return Budget.objects.active().with_scope()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("organization", "team", "project", "period", "compare") if obj else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [*BudgetForm.Meta.fields, "reason"]
        return [*fields, "compare"] if obj else fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        data = form.cleaned_data
        terms = Terms(data["amount"], data["hard"], tuple(data["thresholds"] or ()))
        said = {"by": actor(request), "now": timezone.now(), "reason": data["reason"]}
        if change:
            budgets.change(budget=obj, terms=terms, **said)
            return
        made = budgets.create(
            organization=obj.organization,
            team=obj.team,
            project=obj.project,
            period=PeriodKind(obj.period),
            terms=terms,
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

    @admin.display(description="cap", ordering="amount")
    def amount_shown(self, budget: Budget) -> str:
        return f"{money.plain(budget.amount)} {budget.organization.currency}"

    @admin.display(description="spent in this period")
    def spent(self, budget: Any) -> str:
        return shown(budget.status.spent)

    @admin.display(description="used")
    def percent(self, budget: Any) -> str:
        used = budget.status.percent
        return "–" if used is None else figures.percent(used)

    @admin.display(description="reached")
    def firing(self, budget: Any) -> str:
        return ", ".join(f"{level} %" for level in budget.status.firing) or "–"

    @admin.display(description="estimate vs actual")
    def compare(self, budget: Budget) -> str:
        if budget.team is None:
            return "For budgets of teams."
        url = reverse("admin:billing_estimate_compare")
        return format_html('<a href="{}?team={}">This month</a>', url, budget.team_id)


class DeliveryInline(ReadOnlyInline):
    model = Delivery
    fields = ("channel", "state", "attempts", "due_at", "sent_at", "last_error")


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_display = ("fired_at", "budget_scope", "threshold", "state", "spent", "cap")
    list_filter = ("state", "threshold")
    ordering = ("-pk",)
    inlines = (DeliveryInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return Alert.objects.select_related(
            "budget__organization", "budget__team", "budget__project"
        )

    @admin.display(description="budget")
    def budget_scope(self, alert: Alert) -> str:
        return f"{alert.budget.period} budget of {alert.budget.scope}"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = (
        "alert",
        "channel",
        "state",
        "attempts",
        "due_at",
        "sent_at",
        "last_error",
    )
    list_filter = ("state", "channel__kind")
    list_select_related = ("alert", "channel")
    ordering = ("-pk",)
