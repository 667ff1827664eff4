"""Read-only: usage records with their charges, and those that broke their pricing.

The latter are posted again from here.
"""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from billing.actions import parked
from billing.admin.access import ReadOnly, said
from billing.models import QuarantinedRecordRow, UsageRecordRow
from billing.pricing import money
from billing.reports import records
from teams.models import Team


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
                "<p>{} <b>{} {}</b> {}</p>",
                (
                    (
                        _of_revision(charge),
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


def _of_revision(charge: records.RatedCharge) -> str:
    if not charge.revision:
        return ""
    what = "taken back" if charge.leg < 0 else "charged anew"
    return f"{what} in revision {charge.revision}:"


@admin.register(QuarantinedRecordRow)
class QuarantinedRecordAdmin(LedgerAdmin):
    list_display = ("record_id", "team", "project", "detail", "quarantined_at")
    list_filter = ("team",)
    search_fields = ("=record_id",)
    ordering = ("-record_uid",)
    actions = ("redrive",)

    def has_redrive_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.redrive_quarantinedrecord")

    @admin.action(description="Post selected records again", permissions=["redrive"])
    def redrive(
        self, request: HttpRequest, queryset: QuerySet[QuarantinedRecordRow]
    ) -> None:
        chosen = list(queryset.values_list("record_uid", "team_id"))
        teams = Team.objects.filter(pk__in={team_id for _, team_id in chosen})
        if not chosen:
            messages.warning(request, "These have been posted again already.")
        elif len(teams) > 1:  # a request is one transaction, which writes to one team
            messages.error(request, "Choose records of one team at a time.")
        elif len(chosen) > parked.REDRIVEN_AT_ONCE:
            most = f"Choose {parked.REDRIVEN_AT_ONCE} records at a time, at most."
            messages.error(request, most)
        else:
            uids = [uid for uid, _ in chosen]
            posted = parked.redrive(team=teams[0], uids=uids, **said(request))
            messages.success(
                request, f"Posted {posted} again. What cannot be counted comes back here."
            )
