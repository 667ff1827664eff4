"""Rate cards: published rates to look at, a draft to edit, and its publication."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from billing.actions import rate_cards
from billing.admin.access import Drafts, Kept, ReadOnly, ReadOnlyInline, actor, is_draft
from billing.admin.amounts import TYPED
from billing.models import Publication, Rate, RateCard
from billing.models.rates import PRICE_FIELDS
from billing.pricing import figures
from billing.reports.prices import PublishedRate

# So many prices come first: those of text and of web searches.
_PLAIN = 6

# Where a price is not for a million tokens.
_UNITS = {"web_search": "per 1,000 searches", "session": "per hour"}


def _unit(field: str) -> str:
    return _UNITS.get(field, "per MTok")


def _name(field: str) -> str:
    return field.replace("_", " ")


def _heading(field: str) -> str:
    """Under a title that says: per million tokens."""
    return f"{_name(field)}, {_UNITS[field]}" if field in _UNITS else _name(field)


def _price_column(field: str, heading: str) -> Callable[[Rate], str]:
    @admin.display(description=heading, ordering=field)
    def price(rate: Rate) -> str:
        return figures.rate(getattr(rate, field))

    return price


_PRICES = {field: _price_column(field, _heading(field)) for field in PRICE_FIELDS}


class PublicationInline(ReadOnlyInline):
    model = Publication
    fields = ("state", "published_at", "published_by", "note")
    show_change_link = True


@admin.register(RateCard)
class RateCardAdmin(Kept):
    list_display = ("name", "kind", "provider", "organization", "currency", "rate_count")
    list_filter = ("kind", "provider")
    list_select_related = ("organization",)
    search_fields = ("name",)
    fields = ("kind", "name", "provider", "organization", "currency")
    inlines = (PublicationInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RateCard]:
        return RateCard.objects.annotate(rate_count=Count("publications__rates"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("kind", "provider", "organization", "currency") if obj else ()

    @admin.display(description="rates", ordering="rate_count")
    def rate_count(self, card: Any) -> int:
        return int(card.rate_count)


def _rates() -> QuerySet[Rate]:
    rates = Rate.objects.select_related("model")
    return rates.order_by(
        "model__family", "model__name", "effective_from", "context_tier", "pk"
    )


class DraftRateInline(Drafts, admin.StackedInline):
    """The rates of a draft can be edited."""

    model = Rate
    fields = (
        ("model", "processing", "speed", "geo", "endpoint", "context_tier"),
        ("effective_from", "stop"),
        PRICE_FIELDS[:_PLAIN],
        PRICE_FIELDS[_PLAIN:],
        ("source", "observed_on"),
    )
    autocomplete_fields = ("model",)
    formfield_overrides = TYPED

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return _rates()

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        kwargs["help_texts"] = {field: _unit(field) for field in PRICE_FIELDS}
        formset = super().get_formset(request, obj, **kwargs)
        # Models have a page of their own.
        chosen = formset.form.base_fields["model"].widget
        chosen.can_add_related = chosen.can_change_related = chosen.can_view_related = False
        return formset


class PublishedRateInline(ReadOnlyInline):
    """The rates of a publication, as they are read and never changed again."""

    model = Rate
    verbose_name_plural = "rates, in the currency of the card per million tokens"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return _rates()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A price that no rate has is no column."""
        rates = {f"rates_{field}": Count(field) for field in PRICE_FIELDS}
        priced = obj.rates.aggregate(**rates)
        prices = [_PRICES[field] for field in PRICE_FIELDS if priced[f"rates_{field}"]]
        return ("model", "conditions", "since", *prices, "sources", "observed_on")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)

    @admin.display(description="conditions")
    def conditions(self, rate: Rate) -> str:
        return ", ".join(_published(rate).conditions) or figures.NOTHING

    @admin.display(description="from")
    def since(self, rate: Rate) -> str:
        since = _published(rate).since
        if since is None:
            return figures.NOTHING
        return f"{'ends ' if rate.stop else ''}{since:%-d %b %Y}"

    @admin.display(description="source")
    def sources(self, rate: Rate) -> str:
        """The first one named; the others when it is pointed at."""
        first = _published(rate).source
        return format_html('<span title="{}">{}</span>', rate.source, first)


def _published(rate: Rate) -> PublishedRate:
    return PublishedRate(rate, contract=False, following=None)


@admin.register(Publication)
class PublicationAdmin(Kept):
    list_display = (
        "__str__",
        "card",
        "state",
        "rate_count",
        "published_at",
        "published_by",
    )
    list_filter = ("state", "card")
    list_select_related = ("card",)
    fields = (
        "card",
        "note",
        ("state", "created_by", "published_by", "published_at"),
    )
    formfield_overrides = {models.TextField: {"widget": forms.Textarea({"rows": 2})}}
    change_form_template = "admin/billing/publication/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Publication]:
        publications = Publication.objects.select_related("card")
        return publications.annotate(rate_count=Count("rates"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        always = ("state", "created_by", "published_by", "published_at")
        return always if obj is None else ("card", *always)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_draft(obj) and super().has_change_permission(request, obj)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return (DraftRateInline,) if is_draft(obj) else (PublishedRateInline,)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.created_by, obj.created_at = actor(request), timezone.now()
        super().save_model(request, obj, form, change)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if "_publish" not in request.POST:
            return super().response_change(request, obj)
        rate_cards.publish(publication=obj, by=actor(request), now=timezone.now())
        messages.success(
            request, "Published. These rates price what is counted from now on."
        )
        url = reverse("admin:billing_publication_change", args=[obj.pk])
        return HttpResponseRedirect(url)

    @admin.display(description="rates", ordering="rate_count")
    def rate_count(self, publication: Any) -> int:
        return int(publication.rate_count)


@admin.register(Rate)
class RateAdmin(ReadOnly):
    list_display = (
        "model",
        "processing",
        "speed",
        "geo",
        "context_tier",
        "effective_from",
        *(
            _price_column(field, f"{_name(field)}, {_unit(field)}")
            for field in PRICE_FIELDS
        ),
        "stop",
    )
    list_filter = ("model__family", "processing", "speed", "geo", "publication__card")
    list_select_related = ("model",)
    search_fields = ("model__name", "model__aliases__name", "source")
    ordering = ("model__family", "model__name", "effective_from", "context_tier", "pk")
    list_per_page = 50
