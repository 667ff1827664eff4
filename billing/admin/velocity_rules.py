"""Rules of how fast may be spent: made and ended, never changed."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from billing.actions import velocity_rules
from billing.admin.access import said, shown, user_of
from billing.admin.amounts import TYPED
from billing.models import VelocityRule
from teams.admin import Kept


@admin.register(VelocityRule)
class VelocityRuleAdmin(Kept):
    fields = (
        "organization",
        "team",
        "project",
        "tag_key",
        "tag_value",
        "amount",
        "minutes",
    )
    list_display = ("place", "tag", "amount_shown", "minutes", "created_by", "ended_at")
    list_filter = ("organization", "team")
    list_select_related = ("organization", "team", "project")
    formfield_overrides = TYPED
    ordering = ("-pk",)
    actions = ("end",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_end_permission(self, request: HttpRequest) -> bool:
        return user_of(request).has_perm("billing.change_velocityrule")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        asked = {name: form.cleaned_data[name] for name in self.fields}
        obj.pk = velocity_rules.create(**asked, **said(request)).pk

    @admin.action(description="End selected rules", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[VelocityRule]) -> None:
        for rule in queryset.select_related("organization").order_by("pk"):
            velocity_rules.end(rule=rule, **said(request))

    @admin.display(description="for")
    def place(self, rule: VelocityRule) -> str:
        return str(rule.project or rule.team or rule.organization)

    @admin.display(description="tag", empty_value="–")
    def tag(self, rule: VelocityRule) -> str | None:
        return f"{rule.tag_key}={rule.tag_value}" if rule.tag_key else None

    @admin.display(description="amount", ordering="amount")
    def amount_shown(self, rule: VelocityRule) -> str:
        return shown(rule.amount, rule.organization.currency)
