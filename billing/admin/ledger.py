"""Read-only: usage records with their charges, voids, and records that broke their pricing.

From here records are taken back, and the latter are posted again.
"""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join

from billing.actions import parked, voids
from billing.admin.access import ReadOnly, said
from billing.models import QuarantinedRecordRow, UsageRecordRow, VoidRow
from billing.pricing import money
from billing.reports import records
from teams.models import Team


class LedgerAdmin(ReadOnly):
    """Large tables: no total count, no query per row, newest first by a UUIDv7."""

    show_full_result_count = False
    list_per_page = 50
    list_select_related = ("team", "project")


class ReasonForm(ActionForm):
    reason = forms.CharField(
        required=False,
        label="Reason:",
        widget=forms.TextInput(
            attrs={
                "placeholder": "needed to take back",
                "maxlength": voids.LONGEST_REASON,
            }
        ),
    )


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
    readonly_fields = ("taken_back", "corrects", "charges")
    actions = ("void",)
    action_form = ReasonForm

    def has_void_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.void_usagerecord")

    @admin.action(description="Take selected records back", permissions=["void"])
    def void(self, request: HttpRequest, queryset: QuerySet[UsageRecordRow]) -> None:
        chosen = list(queryset.values_list("uid", "team_id")[: voids.VOIDED_AT_ONCE + 1])
        teams = Team.objects.filter(pk__in={team_id for _, team_id in chosen})
        reason = request.POST.get("reason", "").strip()
        if not reason:
            messages.error(request, "Say why: the reason is kept with each record.")
        elif len(reason) > voids.LONGEST_REASON:
            longest = f"A reason has {voids.LONGEST_REASON:,} characters at most."
            messages.error(request, longest)
        elif len(teams) != 1:  # a request is one transaction, which writes to one team
            messages.error(request, "Choose records of one team at a time.")
        elif len(chosen) > voids.VOIDED_AT_ONCE:
            most = f"Choose {voids.VOIDED_AT_ONCE} records at a time, at most."
            messages.error(request, most)
        else:
            uids = [uid for uid, _ in chosen]
            ids = voids.void(team=teams[0], uids=uids, reason=reason, **said(request))
            messages.success(
                request,
                f"Took {len(ids)} back. Their charges follow within seconds."
                if ids
                else "These were taken back before.",
            )

    @admin.display(description="taken back")
    def taken_back(self, row: UsageRecordRow) -> str:
        void = VoidRow.objects.filter(
            team=row.team_id, month=row.month, record_uid=row.uid
        ).first()
        if void is None:
            return "No."
        return format_html(
            "{} UTC by {}: {}{}",
            f"{void.voided_at:%Y-%m-%d %H:%M}",
            void.voided_by,
            void.reason,
            f" by {void.correction_id}" if void.correction_id else "",
        )

    @admin.display(description="corrects")
    def corrects(self, row: UsageRecordRow) -> str:
        void = VoidRow.objects.filter(team=row.team_id, corrected_by=row.uid).first()
        return void.record_id if void else "Nothing."

    @admin.display(description="charges")
    def charges(self, row: UsageRecordRow) -> str:
        charges = records.charges_of(
            team_id=row.team_id, month=row.month, record_uid=row.uid
        )
        return (
            format_html_join(
                "",
                "<p>{} {} <b>{} {}</b> {}</p>",
                (
                    (
                        _on_day(charge),
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


def _on_day(charge: records.RatedCharge) -> str:
    of_closed_month = ", adjusting a closed month:" if charge.adjustment else ":"
    return f"{charge.day}{of_closed_month}"


def _of_revision(charge: records.RatedCharge) -> str:
    if not charge.revision:
        return ""
    what = "taken back" if charge.leg < 0 else "charged anew"
    return f"{what} in revision {charge.revision}:"


@admin.register(VoidRow)
class VoidAdmin(LedgerAdmin):
    list_display = (
        *("record_id", "team", "voided_at", "reason"),
        *("correction_id", "voided_by"),
    )
    list_filter = ("team", "month")
    search_fields = ("=record_id", "=correction_id")
    ordering = ("-record_uid",)


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
