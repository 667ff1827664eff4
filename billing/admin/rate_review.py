"""What a draft changes and moves, on one page, and the buttons that act on it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from billing.actions import drafts, rate_cards
from billing.admin.access import said, user_of
from billing.admin.amounts import AmountField
from billing.models import LanguageModel, Publication, RateCard
from billing.models.rates import PRICE_FIELDS
from billing.pricing import money
from billing.pricing.token_classes import TokenClass
from billing.reports import impact, rate_changes
from teams.models import Organization
from teams.permissions import organizations_of

_START_HELP = "UTC. Rates that are in force then start then."


class FillForm(forms.Form):
    """A share of the list prices, written out on a contract's draft."""

    percent = AmountField(
        label="Percent of the list price",
        min_value=Decimal(0),
        max_value=drafts.MOST_PERCENT,
        required=False,
        help_text="85 is a discount of 15 %. Empty: only the models named below.",
    )
    models = forms.CharField(
        label="Models with a share of their own",
        widget=forms.Textarea(attrs={"rows": 3}),
        required=False,
        help_text="One a line: claude-opus-5-5 75",
    )
    at = forms.DateTimeField(label="From", help_text=_START_HELP)
    source = forms.CharField(max_length=100, help_text="Where it was agreed.")
    confirmation = forms.CharField(
        required=False, help_text="Why prices out of bounds are right, if any are."
    )

    def clean_models(self) -> dict[str, Decimal]:
        shares = {}
        for line in self.cleaned_data["models"].splitlines():
            if not line.strip():
                continue
            name, _, share = line.strip().rpartition(" ")
            try:
                shares[name.strip()] = money.amount(share)
            except ValueError as error:
                raise ValidationError(
                    f"{line.strip()!r} is no model and percentage."
                ) from error
        return shares


class CopyForm(forms.Form):
    """What the card says of some models, to change it."""

    models = forms.ModelMultipleChoiceField(LanguageModel.objects.none())
    at = forms.DateTimeField(label="From", help_text=_START_HELP)

    def __init__(self, *args: Any, card: RateCard, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = LanguageModel.objects.filter(rates__publication__card=card).distinct()
        chosen: Any = self.fields["models"]
        chosen.queryset = models.order_by("family", "name")


class Review(admin.ModelAdmin):
    """The page of one publication: of a draft its diff, impact and publication, of a
    published one its withdrawal, while it has not started.
    """

    def get_urls(self) -> list[URLPattern]:
        pages = (
            ("review", self.review_view),
            ("fill", self.fill_view),
            ("copy", self.copy_view),
            ("publish", self.publish_view),
            ("withdraw", self.withdraw_view),
            ("discard", self.discard_view),
        )
        return [
            *(
                path(
                    f"<int:pk>/{name}/",
                    self.admin_site.admin_view(view),
                    name=f"billing_publication_{name}",
                )
                for name, view in pages
            ),
            *super().get_urls(),
        ]

    def review_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        publication = self._found(request, pk)
        return self._review(request, publication)

    def _review(
        self,
        request: HttpRequest,
        publication: Publication,
        fill: FillForm | None = None,
        copy: CopyForm | None = None,
    ) -> HttpResponse:
        now = timezone.now()
        is_draft = publication.state == Publication.State.DRAFT
        editable = rate_cards.may_edit(user_of(request), publication.card)
        if is_draft and not editable:
            raise PermissionDenied
        start = {"at": f"{now:%Y-%m-%d %H:%M}"}
        context = {
            **self.admin_site.each_context(request),
            "title": f"Review of {publication.card}",
            "opts": self.model._meta,
            "publication": publication,
            "is_draft": is_draft,
            "editable": editable,
            "changes": rate_changes.diff(publication) if is_draft else [],
            "rates": [] if is_draft else _rates(publication),
            "classes": _classes(publication),
            "complaints": drafts.complaints(publication, now=now) if is_draft else [],
            "first_start": _first_start(publication),
            "now": now,
            "fill": fill or FillForm(initial=start, prefix="fill"),
            "copy": copy or CopyForm(card=publication.card, initial=start, prefix="copy"),
        }
        if is_draft and editable and context["changes"]:
            context |= _impact(request, publication, now)
        return TemplateResponse(request, "admin/billing/publication/review.html", context)

    def fill_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        publication = self._to_change(request, pk)
        form = FillForm(request.POST, prefix="fill")
        if form.is_valid():
            data = form.cleaned_data
            try:
                made = drafts.fill_from_list(
                    publication=publication,
                    percent=data["percent"],
                    by_model=data["models"],
                    at=data["at"],
                    source=data["source"],
                    confirmation=data["confirmation"],
                    **said(request),
                )
            except ValidationError as error:
                form.add_error(None, error.messages)
            else:
                messages.success(request, f"{len(made)} rates are on the draft.")
                return _to_review(publication)
        return self._review(request, publication, fill=form)

    def copy_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        publication = self._to_change(request, pk)
        form = CopyForm(request.POST, card=publication.card, prefix="copy")
        if form.is_valid():
            try:
                made = drafts.copy(
                    publication=publication, **form.cleaned_data, **said(request)
                )
            except ValidationError as error:
                form.add_error(None, error.messages)
            else:
                messages.success(request, f"{len(made)} rates are on the draft.")
                return _to_review(publication)
        return self._review(request, publication, copy=form)

    def publish_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        publication = self._to_change(request, pk)
        if not request.POST.get("confirmed"):
            messages.error(request, "Confirm that you have read what changes.")
            return _to_review(publication)
        try:
            rate_cards.publish(publication=publication, **said(request))
        except ValidationError as error:
            _show(request, error)
        else:
            messages.success(
                request,
                "Published. These rates price what is counted from now on, each from "
                "its start; what is charged stays.",
            )
        return _to_review(publication)

    def withdraw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        publication = self._to_change(request, pk)
        try:
            rate_cards.withdraw(
                publication=publication,
                reason=request.POST.get("reason", ""),
                **said(request),
            )
        except ValidationError as error:
            _show(request, error)
        else:
            messages.success(request, "Withdrawn: these rates never price anything.")
        return _to_review(publication)

    def discard_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        publication = self._to_change(request, pk)
        card = publication.card
        try:
            drafts.discard(publication=publication, **said(request))
        except ValidationError as error:
            _show(request, error)
            return _to_review(publication)
        messages.success(request, "The draft is gone.")
        url = reverse("admin:billing_ratecard_change", args=[card.pk])
        return HttpResponseRedirect(url)

    def _found(self, request: HttpRequest, pk: int) -> Publication:
        """Raises PermissionDenied for what is not theirs to see."""
        publication: Publication | None = self.get_queryset(request).filter(pk=pk).first()
        if publication is None or not self.has_view_permission(request, publication):
            raise PermissionDenied
        return publication

    def _to_change(self, request: HttpRequest, pk: int) -> Publication:
        """Of a form that was sent by somebody who may."""
        publication = self._found(request, pk)
        allowed = super().has_change_permission(request)
        if request.method != "POST" or not allowed:
            raise PermissionDenied
        if not rate_cards.may_edit(user_of(request), publication.card):
            raise PermissionDenied
        return publication


def _show(request: HttpRequest, error: ValidationError) -> None:
    for sentence in error.messages:
        messages.error(request, sentence)


def _to_review(publication: Publication) -> HttpResponse:
    url = reverse("admin:billing_publication_review", args=[publication.pk])
    return HttpResponseRedirect(url)


def _rates(publication: Publication) -> list[Any]:
    rates = publication.rates.select_related("model")
    return list(
        rates.order_by("model__family", "model__name", "effective_from", "context_tier")
    )


def _first_start(publication: Publication) -> datetime | None:
    starts = publication.rates.order_by("effective_from")
    return starts.values_list("effective_from", flat=True).first()


def _classes(publication: Publication) -> list[TokenClass]:
    """The columns: every class that a rate of it has a price for."""
    rates = list(publication.rates.all())
    named = [
        TokenClass(name)
        for name in PRICE_FIELDS
        if any(getattr(rate, name) is not None for rate in rates)
    ]
    return named or [TokenClass.INPUT, TokenClass.OUTPUT]


def _impact(
    request: HttpRequest, publication: Publication, now: datetime
) -> dict[str, Any]:
    """Of every organization that the card touches and they run."""
    asked = request.GET.get("throughout")
    organizations: Any = organizations_of(user_of(request))
    if publication.card.organization_id is not None:
        organizations = Organization.objects.filter(pk=publication.card.organization_id)
    found = impact.impact(
        publication,
        organizations=organizations.order_by("name"),
        now=now,
        throughout=None if asked is None else asked == "1",
    )
    moved = [one for one in found.organizations if one.months or one.without_price]
    return {"impact": found, "moved": moved, "days": impact.DAYS}
