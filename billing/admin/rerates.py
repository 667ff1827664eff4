"""Re-rates: a dry run with its totals, then start, and reversal, each confirmed."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminDateWidget
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.actions import rerates
from billing.actions.rerates import Scope
from billing.models import LanguageModel, Rerate, RerateTotal
from teams.admin import Kept, ReadOnlyInline, actor
from teams.models import Organization, Team

# A dry run of few records is done by then; of many, workers go on with it. What charges
# is theirs alone: a request here is one transaction, and each chunk has its own.
_SECONDS = 2


class RerateForm(forms.ModelForm):
    organization = forms.ModelChoiceField(
        Organization.objects.order_by("name"),
        required=False,
        empty_label="All organizations",
    )
    teams = forms.ModelMultipleChoiceField(
        Team.objects.select_related("organization").order_by("name"),
        required=False,
        help_text="None: all of the organization.",
    )
    models = forms.ModelMultipleChoiceField(
        LanguageModel.objects.order_by("provider", "family", "name"),
        required=False,
        help_text="What the records are charged on so far. None: every model.",
    )
    since = forms.DateField(label="From", widget=AdminDateWidget)
    until = forms.DateField(
        label="Until before", widget=AdminDateWidget, help_text="The first day not in it."
    )

    class Meta:
        model = Rerate
        fields = ("organization", "reason")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        self.scope = Scope(
            organization=data["organization"],
            since=data["since"],
            until=data["until"],
            teams=list(data["teams"]),
            models=list(data["models"]),
        )
        try:
            rerates.check(self.scope, data["reason"])
        except ValidationError as error:
            raise ValidationError(error.messages) from error
        return data


class TotalInline(ReadOnlyInline):
    model = RerateTotal
    verbose_name_plural = "totals per team"
    fields = (
        *("team", "run", "records", "changed", "kept"),
        *("before", "after", "difference", "finished"),
    )
    readonly_fields = ("run", "before", "after")
    ordering = ("executed", "team__name")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("team")

    @admin.display(description="of")
    def run(self, total: RerateTotal) -> str:
        return "as executed" if total.executed else "dry run"

    @admin.display(description="before")
    def before(self, total: RerateTotal) -> str:
        return f"{total.before:,.2f}"

    @admin.display(description="after")
    def after(self, total: RerateTotal) -> str:
        return f"{total.cost:,.2f}"


@admin.register(Rerate)
class RerateAdmin(Kept):
    form = RerateForm
    list_display = (
        *("__str__", "state", "organization", "since", "until"),
        *("reason", "created_by", "started_by", "started_at"),
    )
    list_filter = ("state", "organization")
    list_select_related = ("organization",)
    ordering = ("-pk",)
    change_form_template = "admin/billing/rerate/change_form.html"
    fields = (
        *("organization", "only_teams", "only_models", "since", "until", "reason"),
        *("state", "reverses", "created_by", "created_at"),
        *("started_by", "started_at", "finished_at"),
    )
    readonly_fields = ("only_teams", "only_models")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("organization", "teams", "models", "since", "until", "reason")
        return self.fields

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None else (TotalInline,)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        planned = rerates.plan(
            scope=form.scope,
            reason=form.cleaned_data["reason"],
            by=actor(request),
            now=timezone.now(),
        )
        rerates.advance(rerate=planned, clock=timezone.now, seconds=_SECONDS)
        obj.pk = planned.pk

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: Any = None
    ) -> HttpResponse:
        return _to(obj)

    @admin.display(description="teams")
    def only_teams(self, rerate: Rerate) -> str:
        teams = Team.objects.filter(pk__in=rerate.team_ids).order_by("name")
        return ", ".join(team.name for team in teams) or "all"

    @admin.display(description="models")
    def only_models(self, rerate: Rerate) -> str:
        models = LanguageModel.objects.filter(pk__in=rerate.model_ids).order_by("name")
        return ", ".join(model.name for model in models) or "all"

    # --- Start, cancel, reverse -----------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        steps = {"start": _start, "cancel": _cancel, "reverse": _reverse}
        return [
            *(
                path(
                    f"<int:rerate_id>/{name}/",
                    self.admin_site.admin_view(self._view(name, step)),
                    name=f"billing_rerate_{name}",
                )
                for name, step in steps.items()
            ),
            *super().get_urls(),
        ]

    def _view(
        self, name: str, step: Callable[[Rerate, str], Rerate]
    ) -> Callable[[HttpRequest, int], HttpResponse]:
        """Asks on GET, does it on POST."""

        def view(request: HttpRequest, rerate_id: int) -> HttpResponse:
            if not self.has_add_permission(request):
                raise PermissionDenied
            rerate = Rerate.objects.get(pk=rerate_id)
            if request.method != "POST":
                return self._confirm(request, rerate, name)
            try:
                followed = step(rerate, actor(request))
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
                return _to(rerate)
            messages.success(request, _DONE[name])
            return _to(followed)

        return view

    def _confirm(self, request: HttpRequest, rerate: Rerate, name: str) -> HttpResponse:
        totals = rerate.totals.filter(executed=name == "reverse").select_related("team")
        context = {
            **self.admin_site.each_context(request),
            "title": f"{name.capitalize()} {rerate}?",
            "opts": self.model._meta,
            "rerate": rerate,
            "step": name,
            "totals": totals.order_by("team__name"),
        }
        return TemplateResponse(request, "admin/billing/rerate/confirm.html", context)


_DONE = {
    "start": "Started. This page follows it.",
    "cancel": "Cancelled. What was charged stays, and can be reversed.",
    "reverse": "This re-rate takes the other one back.",
}


def _start(rerate: Rerate, by: str) -> Rerate:
    return rerates.start(rerate=rerate, by=by, now=timezone.now())


def _cancel(rerate: Rerate, by: str) -> Rerate:
    rerates.cancel(rerate=rerate, by=by, now=timezone.now())
    return rerate


def _reverse(rerate: Rerate, by: str) -> Rerate:
    return rerates.reverse(rerate=rerate, by=by, now=timezone.now())


def _to(rerate: Rerate) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:billing_rerate_change", args=[rerate.pk]))
