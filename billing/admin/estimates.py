"""Estimates, and the view that holds them against what was spent."""

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from billing.actions import estimates
from billing.admin.access import Drafts, is_draft
from billing.models import Estimate, EstimateLine, planned
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing import budget_periods
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing
from billing.reports import estimates as reports
from teams.admin import Kept, actor
from teams.models import Team
from teams.reporting_days import ReportingDays

# What people plan in; sound, pictures and sessions are too many columns for a row.
_PLANNED = (
    TokenClass.INPUT,
    TokenClass.CACHE_WRITE_5M,
    TokenClass.CACHE_WRITE_1H,
    TokenClass.CACHE_READ,
    TokenClass.OUTPUT,
    TokenClass.WEB_SEARCH,
)


class LineForm(forms.ModelForm):
    """Without a month it is of the first one, without a processing of the standard one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("month", "processing"):
            if name in self.fields:
                self.fields[name].required = False


class LineFormSet(forms.BaseInlineFormSet):
    """Lines that have a price."""

    def clean(self) -> None:
        super().clean()
        if not any(self.errors) and self.instance.team_id is not None:
            planned.priced(
                self.entered(),
                organization_id=self.instance.team.organization_id,
                now=timezone.now(),
            )

    def entered(self) -> list[Line]:
        """Those that stay."""
        return [
            _line(one.cleaned_data)
            for one in self.forms
            if one.cleaned_data.get("model") and not one.cleaned_data.get("DELETE")
        ]


class LineInline(Drafts, admin.TabularInline):
    """A month's requests and tokens; the cost follows from them when it is saved."""

    model = EstimateLine
    form = LineForm
    fields = ("month", "model", "processing", "scenario", "requests", *_PLANNED, "cost")
    readonly_fields = ("cost",)
    autocomplete_fields = ("model",)
    formset = LineFormSet

    def get_queryset(self, request: HttpRequest) -> QuerySet[EstimateLine]:
        return EstimateLine.objects.select_related("model").order_by("month", "model", "pk")


@admin.register(Estimate)
class EstimateAdmin(Kept):
    list_display = (
        *("team", "project", "month", "months", "state", "plan"),
        *("submitted_by", "approved_by", "compare"),
    )
    list_filter = ("state", "team", "month")
    list_select_related = ("team", "project")
    search_fields = ("team__name", "project__name", "note")
    autocomplete_fields = ("project",)
    ordering = ("-month", "team")
    fields = (
        *("team", "project", "month", "months", "plan", "contingency_percent", "note"),
        *("state", "priced_at", "submitted_by", "approved_by"),
    )
    inlines = (LineInline,)
    actions = ("approve",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        always = ("state", "priced_at", "submitted_by", "approved_by")
        return always if obj is None else ("team", *always)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its lines; what levers made them of is changed on its page."""
        return (
            is_draft(obj)
            and not (obj is not None and obj.shapes.exists())
            and super().has_change_permission(request, obj)
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """It is saved with its lines, which price it."""

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        estimate = form.instance
        saved = estimates.save(
            team=estimate.team,
            project=estimate.project,
            month=estimate.month,
            months=estimate.months,
            lines=[line for formset in formsets for line in formset.entered()],
            plan=Scenario(estimate.plan),
            contingency_percent=estimate.contingency_percent,
            source=estimate.source,
            sample=estimate.sample,
            note=estimate.note,
            by=actor(request),
            now=timezone.now(),
            estimate=estimate if change else None,
        )
        estimate.pk = saved.pk
        for formset in formsets:
            formset.new_objects = formset.changed_objects = formset.deleted_objects = []

    @admin.action(description="Approve: make it the plan", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Estimate]) -> None:
        for estimate in queryset.select_related("team__organization"):
            try:
                estimates.approve(estimate=estimate, by=actor(request), now=timezone.now())
            except ValidationError as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)

    @admin.display(description="estimate vs actual")
    def compare(self, estimate: Estimate) -> str:
        return format_html(
            '<a href="{}?team={}&amp;month={}">Compare</a>',
            reverse("admin:billing_estimate_compare"),
            estimate.team_id,
            f"{estimate.month:%Y-%m}",
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.compare_view)
        return [
            path("compare/", view, name="billing_estimate_compare"),
            *super().get_urls(),
        ]

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """Estimate against actual, per model, of one team and month."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        teams = list(Team.objects.select_related("organization").order_by("name", "pk"))
        asked = request.GET.get("team")
        chosen = [one for one in teams if str(one.pk) == asked] or teams
        team = next(iter(chosen), None)
        month = _month(request.GET.get("month", ""), team)
        report = reports.estimate_vs_actual(team=team, month=month) if team else None
        context = {
            **self.admin_site.each_context(request),
            "title": "Estimate vs actual",
            "opts": self.model._meta,
            "teams": teams,
            "team": team,
            "month": month,
            "report": report,
            "scenarios": Scenario.choices,
        }
        return TemplateResponse(request, "admin/billing/estimate/compare.html", context)


def _month(asked: str, team: Team | None) -> date:
    try:
        return budget_periods.month(asked)
    except ValueError:
        now = timezone.now()
        return ReportingDays(team.organization).month(now)[0] if team else now.date()


def _line(data: dict[str, Any]) -> Line:
    return Line(
        model=data["model"],
        scenario=Scenario(data["scenario"]),
        requests=data["requests"],
        quantities=Quantities(**{name: data[name] for name in _PLANNED}),
        processing=Processing(data.get("processing") or Processing.STANDARD),
        month=data.get("month"),
    )
