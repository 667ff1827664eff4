"""What plans and questions rest on, read-only: samples, policies, what-ifs, reviews."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin.access import ReadOnly
from billing.models import Review, RoutingPolicy, Sample, SavedWhatIf
from billing.pricing import figures

_PLACE = ("team__name", "team__slug", "project__name", "project__slug")


@admin.register(Sample)
class SampleAdmin(ReadOnly):
    """Without its rows, which are thousands of counts: its page shows what they come to."""

    list_display = (
        *("name", "team", "project", "source", "records", "of_records", "not_read"),
        *("created_by", "created_at"),
    )
    list_filter = ("source", "team__organization")
    search_fields = ("name", "created_by", *_PLACE)
    list_select_related = ("team", "project")
    ordering = ("-pk",)
    fields = (
        *("name", "team", "project", "source", "records", "of_records", "not_read"),
        *("since", "until", "read", "created_by", "created_at", "shown"),
    )
    readonly_fields = ("read", "shown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sample]:
        return Sample.objects.defer("rows").select_related("team", "project")

    @admin.display(description="what was read")
    def read(self, sample: Sample) -> SafeString:
        return _json(sample.reading)

    @admin.display(description="its page")
    def shown(self, sample: Sample) -> SafeString:
        return _link("sample-page", sample.pk)


@admin.register(RoutingPolicy)
class RoutingPolicyAdmin(ReadOnly):
    list_display = (
        *("team", "effective_from", "models_allowed", "in_batches", "max_output"),
        *("changed_by", "changed_at"),
    )
    list_filter = ("team__organization", "team")
    search_fields = ("team__name", "team__slug", "reason", "changed_by")
    list_select_related = ("team",)
    ordering = ("-effective_from", "-pk")
    fields = (
        *("team", "effective_from", "names", "in_batches", "max_output", "reason"),
        *("changed_by", "changed_at"),
    )
    readonly_fields = ("names", "in_batches")

    @admin.display(description="models allowed")
    def models_allowed(self, policy: RoutingPolicy) -> str:
        return str(len(policy.model_ids)) if policy.model_ids else "all"

    @admin.display(description="models allowed")
    def names(self, policy: RoutingPolicy) -> str:
        return ", ".join(policy.model_names) if policy.model_ids else "all"

    @admin.display(description="only in batches")
    def in_batches(self, policy: RoutingPolicy) -> str:
        return ", ".join(map(str, policy.tags)) or figures.NOTHING


@admin.register(SavedWhatIf)
class SavedWhatIfAdmin(ReadOnly):
    list_display = ("name", "team", "created_by", "created_at")
    list_filter = ("team__organization", "team")
    search_fields = ("name", "created_by", "team__name", "team__slug")
    list_select_related = ("team",)
    ordering = ("-pk",)
    fields = ("name", "team", "asked", "created_by", "created_at")
    readonly_fields = ("asked",)

    @admin.display(description="question")
    def asked(self, saved: SavedWhatIf) -> SafeString:
        return _json(saved.question)


@admin.register(Review)
class ReviewAdmin(ReadOnly):
    list_display = (
        *("project", "team", "since", "until", "state", "decision", "by_itself"),
        *("opened_at", "closed_by", "closed_at"),
    )
    list_filter = ("state", "decision", "by_itself", "team__organization")
    search_fields = ("note", "closed_by", *_PLACE)
    list_select_related = ("team", "project")
    ordering = ("-pk",)
    fields = (
        *("project", "team", "since", "until", "by_itself", "opened_by", "opened_at"),
        *("state", "decision", "note", "closed_by", "closed_at", "shown"),
    )
    readonly_fields = ("shown",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return Review.objects.defer("figures").select_related("team", "project")

    @admin.display(description="its page")
    def shown(self, review: Review) -> SafeString:
        return _link("review", review.pk)


def _json(value: Any) -> SafeString:
    written = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html("<pre>{}</pre>", written)


def _link(name: str, pk: int) -> SafeString:
    address = reverse(name, args=[pk])
    return format_html('<a href="{0}">{0}</a>', address)
