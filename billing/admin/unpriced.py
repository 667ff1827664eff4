"""Models without a price: what they may cost, and what to do about each."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.actions import catalog
from billing.admin.ledger import LedgerAdmin
from billing.models import LanguageModel, RateCard, UnpricedRecordRow
from billing.reports import exposure
from teams.admin import actor
from teams.models import Organization, Team


class NameForm(forms.Form):
    """The name that records give, and what is done about it."""

    provider = forms.CharField(max_length=40)
    name = forms.CharField(max_length=200)


class MapForm(NameForm):
    model = forms.ModelChoiceField(LanguageModel.objects.order_by("provider", "name"))


class AddForm(NameForm):
    display_name = forms.CharField(max_length=200)
    family = forms.CharField(max_length=40)


@admin.register(UnpricedRecordRow)
class UnpricedRecordAdmin(LedgerAdmin):
    list_display = ("record_id", "team", "project", "provider", "model_name", "detail")
    list_filter = ("reason", "provider", "team")
    search_fields = ("=record_id", "=model_name")
    ordering = ("-record_uid",)
    change_list_template = "admin/billing/unpriced/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        views = {"models": self.models_view, "map": self.map_view, "add": self.add_view_of}
        return [
            *(
                path(
                    f"{name}/",
                    self.admin_site.admin_view(view),
                    name=f"billing_unpriced_{name}",
                )
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def models_view(self, request: HttpRequest) -> HttpResponse:
        """By organization, provider and name: how many, since when, how much at most."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Models without a price",
            "opts": self.model._meta,
            "organizations": [
                (organization, models, exposure.total(models))
                for organization in Organization.objects.order_by("name")
                if (models := _models_of(organization))
            ],
            "known": LanguageModel.objects.order_by("provider", "name"),
            "may_change": self._may_change(request),
        }
        return TemplateResponse(request, "admin/billing/unpriced/models.html", context)

    def map_view(self, request: HttpRequest) -> HttpResponse:
        """The name means a model that is known: an alias."""
        form = self._posted(request, MapForm)
        if form is not None:
            said = form.cleaned_data
            try:
                catalog.add_alias(
                    model=said["model"],
                    provider=said["provider"],
                    name=said["name"],
                    by=actor(request),
                    now=timezone.now(),
                )
                messages.success(request, "Mapped. Its records are priced within a minute.")
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(reverse("admin:billing_unpriced_models"))

    def add_view_of(self, request: HttpRequest) -> HttpResponse:
        """The name is that of a new model; its rate is drafted next."""
        form = self._posted(request, AddForm)
        if form is None:
            return HttpResponseRedirect(reverse("admin:billing_unpriced_models"))
        try:
            model = catalog.add_model(**form.cleaned_data, **_who_and_when(request))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(reverse("admin:billing_unpriced_models"))
        messages.success(request, f"Added {model}. Draft its rate now and publish it.")
        return HttpResponseRedirect(_draft_for(model))

    def _posted(self, request: HttpRequest, kind: type[NameForm]) -> Any:
        if not self._may_change(request) or request.method != "POST":
            raise PermissionDenied
        form = kind(request.POST)
        if form.is_valid():
            return form
        for name, errors in form.errors.items():
            messages.error(request, f"{name}: {' '.join(map(str, errors))}")
        return None

    def _may_change(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.add_alias")


def _models_of(organization: Organization) -> list[exposure.UnpricedModel]:
    teams = Team.objects.filter(organization=organization)
    return exposure.unpriced_models(team_ids=list(teams.values_list("pk", flat=True)))


def _who_and_when(request: HttpRequest) -> dict[str, Any]:
    return {"by": actor(request), "now": timezone.now()}


def _draft_for(model: LanguageModel) -> str:
    """A new draft on the provider's list card, where there is one."""
    card = RateCard.objects.filter(kind="list", provider=model.provider).first()
    if card is None:
        return reverse("admin:billing_ratecard_add")
    query = urlencode({"card": card.pk, "note": f"Prices of {model}"})
    return f"{reverse('admin:billing_publication_add')}?{query}"
