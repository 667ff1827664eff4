"""Whether the ledger adds up, as each verification found it."""

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.admin.access import ReadOnly
from billing.models import Verification


@admin.register(Verification)
class VerificationAdmin(ReadOnly):
    list_display = ("started_at", "ok", "took", "what_disagrees")
    list_filter = ("ok",)
    ordering = ("-pk",)
    fields = ("started_at", "finished_at", "ok", "problem", "found")
    readonly_fields = ("found",)

    @admin.display(description="took")
    def took(self, verification: Verification) -> str:
        seconds = (verification.finished_at - verification.started_at).total_seconds()
        return f"{seconds:.1f} s"

    @admin.display(description="what disagrees")
    def what_disagrees(self, verification: Verification) -> str:
        return verification.problem or "; ".join(verification.disagreeing) or "nothing"

    @admin.display(description="checks")
    def found(self, verification: Verification) -> SafeString:
        return format_html_join(
            "",
            "<p>{} <b>{}</b>: {}{}</p>",
            (
                (
                    "ok" if check["ok"] else "DISAGREES",
                    check["name"],
                    check["found"],
                    _examples(check["examples"]),
                )
                for check in verification.checks
            ),
        )


def _examples(examples: list[str]) -> SafeString:
    listed = format_html_join("", "<br>{}", ((one,) for one in examples))
    return format_html("{}", listed)
