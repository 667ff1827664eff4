"""Estimates, and the view that holds them against what was spent."""

import re
from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from billing.actions import estimates
from billing.admin.access import Drafts, is_draft, said, user_of
from billing.admin.amounts import AmountField
from billing.models import Estimate, EstimateLine, planned
from billing.models.estimates import Scenario
from billing.models.planned import Line
from billing.pricing import budget_periods, figures
from billing.pricing.token_classes import Quantities, TokenClass
from billing.pricing.usage import Processing
from billing.reports import estimate_caps, estimate_view
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
_NOT_PLANNED = [name for name in TokenClass if name not in _PLANNED]


_MORE = (
    "Its lines have sound, pictures or sessions, which a row here has no column for: it "
    "is changed by the API."
)


class EstimateForm(forms.ModelForm):
    # The one that the form was opened at.
    seen_version = forms.CharField(required=False, max_length=40, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields["seen_version"].initial = self.instance.version

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.instance.pk is not None:
            # Held until it is saved: the admin's view is one transaction.
            current = estimates.held(self.instance)
            if data.get("seen_version") != current.version:
                # What was typed stays, and takes its place when it is saved again.
                seen = {self.add_prefix("seen_version"): current.version}
                self.data = dict(self.data.items()) | seen
                raise ValidationError(
                    f"{current.changed_by or 'Somebody'} changed it meanwhile, "
                    f"{current.moment(current.priced_at)}. Saved now, what you typed "
                    "takes its place."
                )
        return data


class LineForm(forms.ModelForm):
    """Without a month it is of the first one, without a processing of the standard one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("month", "processing"):
            if name in self.fields:
                self.fields[name].required = False


class LineFormSet(forms.BaseInlineFormSet):
    """Lines that have a price. What is posted takes the place of those that are kept,
    which somebody else may have replaced meanwhile: all of it is new."""

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        if data is not None:
            data = data.copy()
            prefix = kwargs.get("prefix") or self.get_default_prefix()
            data[f"{prefix}-INITIAL_FORMS"] = "0"
            for name in [one for one in data if re.fullmatch(rf"{prefix}-\d+-id", one)]:
                data[name] = ""
        super().__init__(data, *args, **kwargs)

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


class DecideForm(forms.Form):
    cap = AmountField(
        label="Monthly cap",
        max_digits=21,
        decimal_places=9,
        min_value=0,
        required=False,
        help_text="Empty: no budget is changed.",
    )
    note = forms.CharField(
        required=False,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="To send it back: what has to change.",
    )


@admin.register(Estimate)
class EstimateAdmin(Kept):
    form = EstimateForm
    change_form_template = "admin/billing/estimate/change_form.html"
    list_display = (
        *("team", "project", "month", "months", "state", "plan"),
        *("submitted_by", "approved_by", "decide_link", "compare"),
    )
    list_filter = ("state", "team", "month")
    list_select_related = ("team", "project")
    search_fields = ("team__name", "project__name", "note")
    autocomplete_fields = ("project",)
    ordering = ("-month", "team")
    fields = (
        *("team", "project", "month", "months", "plan", "contingency_percent", "note"),
        *("state", "priced_at", "changed_by", "submitted_by", "approved_by"),
    )
    inlines = (LineInline,)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        changes = obj is not None and self.has_change_permission(request, obj)
        return (*self.fields, "seen_version") if changes else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        always = ("state", "priced_at", "changed_by", "submitted_by", "approved_by")
        return always if obj is None else ("team", *always)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Its lines; what levers made them of is changed on its page, and what a row has
        no column for would be lost."""
        return (
            is_draft(obj)
            and not (obj is not None and (obj.shapes.exists() or _has_more(obj)))
            and super().has_change_permission(request, obj)
        )

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        estimate = context.get("original")
        if estimate is not None and is_draft(estimate) and _has_more(estimate):
            messages.warning(request, _MORE)
        return super().render_change_form(request, context, *args, **kwargs)

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
            # Looked at, and held since.
            version=form.cleaned_data.get("seen_version") if change else None,
        )
        estimate.pk = saved.pk
        for formset in formsets:
            formset.new_objects = formset.changed_objects = formset.deleted_objects = []

    # --- Deciding -------------------------------------------------------------------

    @admin.display(description="decision")
    def decide_link(self, estimate: Estimate) -> str:
        if estimate.state == Estimate.State.APPROVED:
            return figures.NOTHING
        url = reverse("admin:billing_estimate_decide", args=[estimate.pk])
        return format_html('<a href="{}">Decide</a>', url)

    def decide(self, request: HttpRequest, estimate_id: int) -> HttpResponse:
        """Asks on GET, does it on POST: of the version that was looked at."""
        if not request.user.has_perm("billing.change_estimate"):
            raise PermissionDenied
        estimate = get_object_or_404(Estimate.objects.with_scope(), pk=estimate_id)
        view = estimate_view.of(estimate)
        approval = estimate_caps.approval(estimate, view, now=timezone.now())
        form = DecideForm(
            request.POST or None,
            initial={"cap": view.proposed_cap if view.planned else None},
        )
        if not request.user.has_perm("billing.change_budget"):
            del form.fields["cap"]
        if estimate.state != Estimate.State.SUBMITTED:
            del form.fields["note"]
        if request.method == "POST":
            try:
                done = _take(request, estimate, form)
            except ValidationError as error:
                form.add_error(None, error.messages)
            else:
                if done:
                    messages.success(request, done)
                    return HttpResponseRedirect(
                        reverse("admin:billing_estimate_change", args=[estimate.pk])
                    )
        context = {
            **self.admin_site.each_context(request),
            "title": f"Estimate #{estimate.pk}",
            "opts": self.model._meta,
            "estimate": estimate,
            "saved": estimate.moment(estimate.priced_at),
            "currency": estimate.team.organization.currency,
            "view": view,
            "approval": approval,
            "people": estimate_caps.of_people(estimate, approval, user_of(request)),
            "cap": estimate_caps.of(estimate),
            "form": form,
        }
        return TemplateResponse(request, "admin/billing/estimate/decide.html", context)

    # --- Comparing ------------------------------------------------------------------

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
        decide = self.admin_site.admin_view(self.decide)
        return [
            path("<int:estimate_id>/decide/", decide, name="billing_estimate_decide"),
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


def _take(request: HttpRequest, estimate: Estimate, form: DecideForm) -> str:
    """Take a step, and say what is done; nothing where the form says what is wrong."""
    its: dict[str, Any] = {"estimate": estimate, **said(request)}
    version = request.POST.get("version", "")
    if "take_back" in request.POST:
        estimates.take_back_cap(**its)
        return "The cap is taken back. The plan stays."
    is_usable = form.is_valid()
    if "send_back" in request.POST and "note" not in form.errors:
        note = form.cleaned_data.get("note", "")
        estimates.send_back(**its, note=note, version=version)
        return "Sent back: it is a draft again."
    if "approve" not in request.POST or not is_usable:
        return ""
    cap = form.cleaned_data.get("cap")
    estimates.approve(**its, cap=cap, version=version, person=user_of(request))
    return "Approved: it is the plan of its months."


def _month(asked: str, team: Team | None) -> date:
    try:
        return budget_periods.month(asked)
    except ValueError:
        now = timezone.now()
        return ReportingDays(team.organization).month(now)[0] if team else now.date()


def _has_more(estimate: Estimate) -> bool:
    """Whether its lines, not levers, have what a row has no column for."""
    more = Q()
    for name in _NOT_PLANNED:
        more |= Q(**{f"{name}__gt": 0})
    return not estimate.shapes.exists() and estimate.lines.filter(more).exists()


def _line(data: dict[str, Any]) -> Line:
    return Line(
        model=data["model"],
        scenario=Scenario(data["scenario"]),
        requests=data["requests"],
        quantities=Quantities(**{name: data[name] for name in _PLANNED}),
        processing=Processing(data.get("processing") or Processing.STANDARD),
        month=data.get("month"),
    )
