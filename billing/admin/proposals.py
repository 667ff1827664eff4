"""Proposals: what the installed price data says otherwise, and the decision on it."""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from billing.actions import proposals, rate_cards
from billing.admin.access import ReadOnly, said, user_of
from billing.models import Proposal


class DecisionForm(ActionForm):
    reason = forms.CharField(
        required=False,
        label="Reason:",
        widget=forms.TextInput(attrs={"placeholder": "needed to dismiss"}),
    )


@admin.register(Proposal)
class ProposalAdmin(ReadOnly):
    list_display = (
        "model_name",
        "conditions_shown",
        "effective_from",
        "proposed",
        "card",
        "source",
        "observed_on",
        "state",
    )
    list_filter = ("state", "card", "processing", "geo")
    list_select_related = ("card", "publication")
    search_fields = ("model_name", "source")
    ordering = ("state", "model_name", "effective_from", "pk")
    actions = ("accept", "dismiss")
    action_form = DecisionForm

    @admin.action(description="Accept: put on a draft", permissions=["decide"])
    def accept(
        self, request: HttpRequest, queryset: QuerySet[Proposal]
    ) -> HttpResponse | None:
        if not self._may_decide(request, queryset):
            return None
        try:
            publication = proposals.accept(
                proposals=queryset,
                reason=request.POST.get("reason", ""),
                **said(request),
            )
        except ValidationError as error:
            self._show(request, error)
            return None
        messages.success(request, "They are on a draft. Read what changes, then publish.")
        url = reverse("admin:billing_publication_review", args=[publication.pk])
        return HttpResponseRedirect(url)

    @admin.action(description="Dismiss", permissions=["decide"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[Proposal]) -> None:
        if not self._may_decide(request, queryset):
            return
        try:
            proposals.dismiss(
                proposals=queryset,
                reason=request.POST.get("reason", ""),
                **said(request),
            )
        except ValidationError as error:
            self._show(request, error)
        else:
            messages.success(request, "Dismissed until the proposed price changes.")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_proposal")

    def _may_decide(self, request: HttpRequest, queryset: QuerySet[Proposal]) -> bool:
        cards = {one.card for one in queryset.select_related("card__organization")}
        allowed = all(rate_cards.may_edit(user_of(request), card) for card in cards)
        if not allowed:
            messages.error(request, "List prices are changed by who runs the installation.")
        return allowed

    def _show(self, request: HttpRequest, error: ValidationError) -> None:
        for sentence in error.messages:
            messages.error(request, sentence)

    @admin.display(description="conditions")
    def conditions_shown(self, one: Proposal) -> str:
        usual_ones = (
            (one.processing, "standard"),
            (one.speed, "standard"),
            (one.geo, "global"),
            (one.endpoint, "global"),
        )
        words = [word for word, usual in usual_ones if word != usual]
        if one.context_tier:
            words.append(f"over {one.context_tier:,} tokens")
        return ", ".join(words) or "–"

    @admin.display(description="proposed prices")
    def proposed(self, one: Proposal) -> str:
        if one.stop:
            return "not offered any more"
        return ", ".join(
            f"{name.replace('_', ' ')} {price}" for name, price in one.prices.items()
        )
