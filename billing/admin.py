"""How much: models, rate cards and, read-only, the ledger."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join

from billing.actions import catalog
from billing.models import (
    Alias,
    LanguageModel,
    Publication,
    QuarantinedRecordRow,
    Rate,
    RateCard,
    UnpricedRecordRow,
    UsageRecordRow,
)
from billing.models.rates import PRICE_FIELDS
from billing.pricing import money
from billing.reports import records
from teams.admin import ReadOnlyInline, actor


class ReadOnly(admin.ModelAdmin):
    """Facts and money are looked at here, never changed."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# --- Catalogue ----------------------------------------------------------------------


class AliasInline(admin.TabularInline):
    """An alias is added or deleted; changed in place, it would re-price nothing."""

    model = Alias
    fields = ("name",)
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LanguageModel)
class LanguageModelAdmin(admin.ModelAdmin):
    list_display = (
        "display_name",
        "name",
        "provider",
        "family",
        "context_window",
        "names",
    )
    list_filter = ("provider", "family")
    search_fields = ("name", "display_name", "aliases__name")
    ordering = ("provider", "family", "name")
    inlines = (AliasInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LanguageModel]:
        return LanguageModel.objects.annotate(alias_count=Count("aliases"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("provider", "name") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
            return
        catalog.describe(
            model=obj,
            display_name=obj.display_name,
            family=obj.family,
            context_window=obj.context_window,
            by=actor(request),
            now=timezone.now(),
        )

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        """Aliases go through their actions, which audit them."""
        by, now = actor(request), timezone.now()
        formset.save(commit=False)
        for alias in formset.deleted_objects:
            catalog.remove_alias(alias=alias, by=by, now=now)
        for alias in formset.new_objects:
            catalog.add_alias(model=form.instance, name=alias.name, by=by, now=now)

    @admin.display(description="names", ordering="alias_count")
    def names(self, model: Any) -> int:
        return int(model.alias_count)


# --- Rate cards ---------------------------------------------------------------------


class PublicationInline(ReadOnlyInline):
    model = Publication
    fields = ("state", "published_at", "published_by", "note")
    show_change_link = True


@admin.register(RateCard)
class RateCardAdmin(ReadOnly):
    list_display = ("name", "kind", "provider", "organization", "currency")
    list_filter = ("kind", "provider")
    list_select_related = ("organization",)
    inlines = (PublicationInline,)


class RateInline(ReadOnlyInline):
    model = Rate
    fields = (
        "model",
        "processing",
        "speed",
        "geo",
        "context_tier",
        "effective_from",
        "stop",
        *PRICE_FIELDS,
    )
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        rates = super().get_queryset(request).select_related("model")
        return rates.order_by(
            "model__family", "model__name", "effective_from", "context_tier", "pk"
        )


@admin.register(Publication)
class PublicationAdmin(ReadOnly):
    list_display = ("card", "state", "published_at", "published_by", "rate_count")
    list_filter = ("state", "card")
    list_select_related = ("card",)
    inlines = (RateInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Publication]:
        return Publication.objects.annotate(rate_count=Count("rates"))

    @admin.display(description="rates")
    def rate_count(self, publication: Any) -> int:
        return int(publication.rate_count)


def _price_column(field: str) -> Callable[[Rate], str]:
    unit = "per 1,000" if field == "web_search" else "per MTok"

    @admin.display(description=f"{field.replace('_', ' ')}, {unit}", ordering=field)
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


# --- Ledger -------------------------------------------------------------------------


class LedgerAdmin(ReadOnly):
    """Large tables: no total count, no query per row, newest first by a UUIDv7."""

    show_full_result_count = False
    list_per_page = 50
    list_select_related = ("team", "project")


@admin.register(UsageRecordRow)
class UsageRecordAdmin(LedgerAdmin):
    list_display = (
        "record_id",
        "occurred_at",
        "team",
        "project",
        "model_name",
        "input",
        "cache_read",
        "output",
        "unbilled",
    )
    list_filter = ("team", "provider", "processing", "month")
    search_fields = ("=record_id",)
    search_help_text = "The whole id, as the provider returned it."
    ordering = ("-uid",)
    exclude = ("fingerprint",)
    readonly_fields = ("charges",)

    @admin.display(description="charges")
    def charges(self, row: UsageRecordRow) -> str:
        charges = records.charges_of(
            team_id=row.team_id, month=row.month, record_uid=row.uid
        )
        return (
            format_html_join(
                "",
                "<p><b>{} {}</b> {}</p>",
                (
                    (
                        money.plain(charge.cost),
                        charge.model,
                        "; ".join(
                            f"{line.quantity:,} {line.token_class} × "
                            f"{money.plain(line.unit_price)} = {money.plain(line.cost)}"
                            for line in charge.lines
                        ),
                    )
                    for charge in charges
                ),
            )
            or "None yet."
        )


@admin.register(UnpricedRecordRow)
class UnpricedRecordAdmin(LedgerAdmin):
    list_display = ("record_id", "team", "project", "provider", "model_name", "detail")
    list_filter = ("reason", "provider", "team")
    search_fields = ("=record_id", "=model_name")
    ordering = ("-record_uid",)


@admin.register(QuarantinedRecordRow)
class QuarantinedRecordAdmin(LedgerAdmin):
    list_display = ("record_id", "team", "project", "detail", "quarantined_at")
    list_filter = ("team",)
    search_fields = ("=record_id",)
    ordering = ("-record_uid",)
