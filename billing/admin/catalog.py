from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from billing.actions import catalog
from billing.models import Alias, LanguageModel, RateCard
from billing.reports import prices
from teams.admin import Kept, actor


class AliasInline(admin.TabularInline):
    """An alias is added or deleted; changed in place, it would re-price nothing."""

    model = Alias
    fields = ("name",)
    extra = 0

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LanguageModel)
class LanguageModelAdmin(Kept):
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

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        described = ("provider", "name", "display_name", "family", "context_window")
        return (*described, "prices_over_time") if obj else described

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("provider", "name", "prices_over_time") if obj else ()

    @admin.display(description="list prices over time")
    def prices_over_time(self, model: LanguageModel) -> SafeString:
        listed = RateCard.objects.filter(kind=RateCard.Kind.LIST)
        lines = prices.timeline(model=model, cards=listed, now=timezone.now())
        return SafeString(
            render_to_string("admin/billing/rate_lines.html", {"lines": lines})
        )

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
