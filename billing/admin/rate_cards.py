"""Rate cards: published rates to look at, a draft to edit, and its publication."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from billing.actions import rate_cards
from billing.admin.access import Drafts, Kept, ReadOnly, ReadOnlyInline, actor, is_draft
from billing.models import Publication, Rate, RateCard
from billing.models.rates import PRICE_FIELDS
from billing.pricing import money

_CONDITIONS = (
    "model",
    "processing",
    "speed",
    "geo",
    "context_tier",
    "effective_from",
    "stop",
)


# Where a price is not for a million tokens.
_UNITS = {"web_search": "per 1,000 searches", "session": "per hour"}


def _unit(field: str) -> str:
    return _UNITS.get(field, "USD per MTok")


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


class RateInline(Drafts):
    """The rates of a draft can be edited; those of a publication never again."""

    model = Rate
    fields = (*_CONDITIONS, *PRICE_FIELDS, "source", "observed_on")
    autocomplete_fields = ("model",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        rates = Rate.objects.select_related("model")
        return rates.order_by(
            "model__family", "model__name", "effective_from", "context_tier", "pk"
        )

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        kwargs["labels"] = {
            field: f"{field.replace('_', ' ')}, {_unit(field)}" for field in PRICE_FIELDS
        }
        return super().get_formset(request, obj, **kwargs)


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
    fields = ("card", "note", "state", "created_by", "published_by", "published_at")
    inlines = (RateInline,)
    change_form_template = "admin/billing/publication/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Publication]:
        publications = Publication.objects.select_related("card")
        return publications.annotate(rate_count=Count("rates"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        always = ("state", "created_by", "published_by", "published_at")
        return always if obj is None else ("card", *always)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_draft(obj) and super().has_change_permission(request, obj)

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


def _price_column(field: str) -> Callable[[Rate], str]:
    @admin.display(description=f"{field.replace('_', ' ')}, {_unit(field)}", ordering=field)
    def price(rate: Rate) -> str:
        value = getattr(rate, field)
        return "–" if value is None else money.plain(value)

    return price


@admin.register(Rate)
class RateAdmin(ReadOnly):
    list_display = (
        "model",
        "processing",
        "speed",
        "geo",
        "context_tier",
        "effective_from",
        *map(_price_column, PRICE_FIELDS),
        "stop",
    )
    list_filter = ("model__family", "processing", "speed", "geo", "publication__card")
    list_select_related = ("model",)
    search_fields = ("model__name", "model__aliases__name", "source")
    ordering = ("model__family", "model__name", "effective_from", "context_tier", "pk")
    list_per_page = 50
