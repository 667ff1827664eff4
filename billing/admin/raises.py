"""Raises asked for, decided here as on their page; and how many people it takes."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.actions import raises
from billing.admin.access import ReadOnly, shown, user_of
from billing.admin.amounts import TYPED, AmountField
from billing.models import BudgetPolicy, RaiseDecision, RaiseRequest
from billing.pricing import figures
from billing.reports import raises as reports
from teams.admin import Kept, ReadOnlyInline, actor


class DecisionInline(ReadOnlyInline):
    model = RaiseDecision
    readonly_fields = ("said",)
    fields = ("said", "decided_by", "decided_at", "note")
    ordering = ("pk",)

    @admin.display(description="decision")
    def said(self, decision: RaiseDecision) -> str:
        if decision.amount is None:
            return "declined"
        until = f" until {_moment(decision.until)}" if decision.until else " for good"
        return f"approved {figures.amount(decision.amount)}{until}"


class DecideForm(forms.Form):
    amount = AmountField(label="New cap", max_digits=21, decimal_places=9)
    until = forms.DateTimeField(
        required=False, help_text="In UTC. Empty: for good.", widget=forms.DateTimeInput
    )
    note = forms.CharField(
        required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2})
    )


@admin.register(RaiseRequest)
class RaiseRequestAdmin(ReadOnly):
    list_display = (
        *("of", "state_shown", "amount_shown", "until"),
        *("asked_by", "asked_at", "granted_shown"),
    )
    list_filter = ("state", "budget__organization")
    search_fields = ("asked_by", "reason", "budget__team__slug", "budget__project__slug")
    ordering = ("-pk",)
    inlines = (DecisionInline,)
    fields = (
        *("of", "state_shown", "amount_shown", "until", "reason"),
        *("asked_by", "asked_at", "granted_shown", "granted_until", "ended_at"),
    )
    readonly_fields = ("of", "state_shown", "amount_shown", "granted_shown")
    change_form_template = "admin/billing/raiserequest/change_form.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        return RaiseRequest.objects.with_budget()

    @admin.display(description="of", ordering="budget")
    def of(self, asked: RaiseRequest) -> str:
        return f"{asked.budget.period} budget of {asked.budget.scope}"

    @admin.display(description="state", ordering="state")
    def state_shown(self, asked: RaiseRequest) -> str:
        return asked.state_at(timezone.now()).label

    @admin.display(description="new cap", ordering="amount")
    def amount_shown(self, asked: RaiseRequest) -> str:
        return shown(asked.amount, asked.budget.organization.currency)

    @admin.display(description="granted", ordering="granted_amount")
    def granted_shown(self, asked: RaiseRequest) -> str:
        if asked.granted_amount is None:
            return figures.NOTHING
        return shown(asked.granted_amount, asked.budget.organization.currency)

    # --- Deciding -------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        decide = self.admin_site.admin_view(self.decide)
        return [
            path("<int:request_id>/decide/", decide, name="billing_raiserequest_decide"),
            *super().get_urls(),
        ]

    def decide(self, request: HttpRequest, request_id: int) -> HttpResponse:
        """Asks on GET, does it on POST."""
        if not request.user.has_perm("billing.change_raiserequest"):
            raise PermissionDenied
        asked = get_object_or_404(RaiseRequest.objects.with_budget(), pk=request_id)
        form = DecideForm(
            request.POST or None,
            initial={"amount": asked.amount, "until": asked.until},
        )
        if request.method == "POST":
            try:
                done = _take(request, asked, form)
            except ValidationError as error:
                form.add_error(None, error.messages)
            else:
                if done:
                    messages.success(request, done)
                    return _to(asked)
        now = timezone.now()
        context = {
            **self.admin_site.each_context(request),
            "title": f"Raise asked for by {asked.asked_by}",
            "opts": self.model._meta,
            "asked": asked,
            "of": self.of(asked),
            "cap": asked.budget.cap(now),
            "decided": reports.decided(asked, now=now),
            "ends_earlier": reports.ends_earlier(asked, now=now),
            "form": form,
        }
        return TemplateResponse(request, "admin/billing/raiserequest/decide.html", context)


def _take(request: HttpRequest, asked: RaiseRequest, form: DecideForm) -> str:
    who: dict[str, Any] = {
        "by": actor(request),
        "person": user_of(request),
        "now": timezone.now(),
    }
    is_usable = form.is_valid()
    note = form.cleaned_data.get("note", "")
    if "decline" in request.POST:
        raises.decline(request=asked, note=note, **who)
        return "Declined: the cap stays."
    if "approve" not in request.POST or not is_usable:
        return ""
    until = form.cleaned_data["until"] if "until" in form.changed_data else asked.until
    after = raises.approve(
        request=asked, amount=form.cleaned_data["amount"], until=until, note=note, **who
    )
    if after.state == RaiseRequest.State.APPROVED:
        return "Approved: the new cap is in force."
    return "Approved by you. One more person has to approve the same."


def _to(asked: RaiseRequest) -> HttpResponse:
    return HttpResponseRedirect(
        reverse("admin:billing_raiserequest_change", args=[asked.pk])
    )


def _moment(at: Any) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M %Z}"


@admin.register(BudgetPolicy)
class BudgetPolicyAdmin(Kept):
    list_display = ("organization", "two_approvals_above")
    list_select_related = ("organization",)
    fields = ("organization", "two_approvals_above")
    formfield_overrides = TYPED

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("organization",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        policy = raises.set_policy(
            organization=obj.organization,
            two_approvals_above=obj.two_approvals_above,
            by=actor(request),
            now=timezone.now(),
        )
        obj.pk = policy.pk
