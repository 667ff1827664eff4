"""Estimates, and the view that holds them against what was spent."""

from datetime import date
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from billing.actions import estimates
from billing.actions.estimates import Line
from billing.admin.access import Kept, actor
from billing.models import Estimate, EstimateLine
from billing.models.estimates import Scenario
from billing.pricing.token_classes import Quantities, TokenClass
from billing.reports import estimates as reports
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


class LineInline(admin.TabularInline):
    """A month's requests and tokens; the cost follows from them when it is saved."""

    model = EstimateLine
    fields = ("model", "scenario", "requests", *_PLANNED, "cost")
    readonly_fields = ("cost",)
    autocomplete_fields = ("model",)
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[EstimateLine]:
        return EstimateLine.objects.select_related("model").order_by("model", "pk")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_draft(obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_draft(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_draft(obj)


def _is_draft(estimate: Any) -> bool:
    return estimate is None or estimate.state == Estimate.State.DRAFT


@admin.register(Estimate)
class EstimateAdmin(Kept):
    list_display = ("team", "month", "state", "plan", "approved_by", "compare")
    list_filter = ("state", "team", "month")
    list_select_related = ("team",)
    search_fields = ("team__name", "note")
    ordering = ("-month", "team")
    fields = ("team", "month", "plan", "note", "state", "priced_at", "approved_by")
    inlines = (LineInline,)
    actions = ("approve",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        always = ("state", "priced_at", "approved_by")
        return always if obj is None else ("team", *always)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_draft(obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        now = timezone.now()
        obj.month, obj.priced_at = obj.month.replace(day=1), now
        if not change:
            obj.created_by, obj.created_at = actor(request), now
        super().save_model(request, obj, form, change)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """The lines go through the action, which prices them."""
        lines = [
            _line(one.cleaned_data)
            for formset in formsets
            for one in formset.forms
            if one.cleaned_data.get("model") and not one.cleaned_data.get("DELETE")
        ]
        estimate = form.instance
        estimates.save(
            team=estimate.team,
            month=estimate.month,
            lines=lines,
            plan=Scenario(estimate.plan),
            note=estimate.note,
            by=actor(request),
            now=timezone.now(),
            estimate=estimate,
        )
        for formset in formsets:
            formset.new_objects = formset.changed_objects = formset.deleted_objects = []

    @admin.action(description="Approve: make it the plan", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Estimate]) -> None:
        for estimate in queryset.select_related("team__organization"):
            estimates.approve(estimate=estimate, by=actor(request), now=timezone.now())

    @admin.display(description="estimate vs actual")
    def compare(self, estimate: Estimate) -> str:
        return format_html(
            '<a href="{}?team={}&month={:%Y-%m}">Compare</a>',
            reverse("admin:billing_estimate_compare"),
            estimate.team.slug,
            estimate.month,
        )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.compare_view)
        return [
            path("compare/", view, name="billing_estimate_compare"),
            *super().get_urls(),
        ]

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """Estimate against actual, per model, of one team and month."""
        teams = list(Team.objects.select_related("organization").order_by("name"))
        asked = request.GET.get("team")
        team = next(
            (one for one in teams if one.slug == asked), teams[0] if teams else None
        )
        month = _month(request.GET.get("month"), team)
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


def _month(asked: str | None, team: Team | None) -> date:
    try:
        return date.fromisoformat(f"{asked}-01")
    except ValueError:
        now = timezone.now()
        return ReportingDays(team.organization).month(now)[0] if team else now.date()


def _line(data: dict[str, Any]) -> Line:
    return Line(
        model=data["model"],
        scenario=Scenario(data["scenario"]),
        requests=data["requests"],
        quantities=Quantities(**{name: data[name] for name in _PLANNED}),
    )
