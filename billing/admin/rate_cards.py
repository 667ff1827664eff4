"""Rate cards: drafts to edit, what they would change, and what stands on a card."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.actions import drafts, rate_cards
from billing.admin.access import Drafts, ReadOnly, is_draft, said, user_of
from billing.admin.amounts import TYPED
from billing.admin.rate_review import Review
from billing.models import Proposal, Publication, Rate, RateCard
from billing.models.rates import PRICE_FIELDS
from billing.pricing import figures
from billing.reports import prices
from billing.reports.prices import PublishedRate
from teams.admin import Kept, ReadOnlyInline

# So many prices come first: those of text and of web searches.
_PLAIN = 6

# Where a price is not for a million tokens.
_UNITS = {"web_search": "per 1,000 searches", "session": "per hour"}


def _unit(field: str) -> str:
    return _UNITS.get(field, "per MTok")


def _name(field: str) -> str:
    return field.replace("_", " ")


def _heading(field: str) -> str:
    """Under a title that says: per million tokens."""
    return f"{_name(field)}, {_UNITS[field]}" if field in _UNITS else _name(field)


def _price_column(field: str, heading: str) -> Callable[[Rate], str]:
    @admin.display(description=heading, ordering=field)
    def price(rate: Rate) -> str:
        return figures.rate(getattr(rate, field))

    return price


_PRICES = {field: _price_column(field, _heading(field)) for field in PRICE_FIELDS}


class PublicationInline(ReadOnlyInline):
    model = Publication
    fields = ("state", "published_at", "published_by", "withdrawn_by", "note")
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Publication]:
        return Publication.objects.select_related("card").order_by("-pk")


class CardForm(forms.ModelForm):
    """A new card is a contract: the list card of a provider comes with its prices."""

    class Meta:
        model = RateCard
        fields = ("name", "provider", "organization")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.instance.pk is None and not data.get("organization"):
            raise ValidationError("A contract is of an organization.")
        return data


@admin.register(RateCard)
class RateCardAdmin(Kept):
    form = CardForm
    list_display = (
        "name",
        "kind",
        "provider",
        "organization",
        "currency",
        "rate_count",
        "open_proposals",
    )
    list_filter = ("kind", "provider")
    list_select_related = ("organization",)
    search_fields = ("name",)
    inlines = (PublicationInline,)
    change_form_template = "admin/billing/ratecard/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[RateCard]:
        seen = rate_cards.seen_by(user_of(request)).select_related("organization")
        return seen.annotate(rate_count=Count("publications__rates"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("name", "provider", "organization")
        return ("kind", "name", "provider", "organization", "currency")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("kind", "provider", "organization", "currency") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or rate_cards.may_edit(user_of(request), obj))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            rate_cards.rename(card=obj, name=obj.name, **said(request))
            return
        obj.kind, obj.currency = RateCard.Kind.CONTRACT, obj.organization.currency
        if not rate_cards.may_edit(user_of(request), obj):
            raise PermissionDenied
        made = rate_cards.make_contract(
            organization=obj.organization,
            provider=obj.provider,
            name=obj.name,
            **said(request),
        )
        obj.pk = made.pk

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.start_draft)
        return [
            path("<int:pk>/draft/", view, name="billing_ratecard_draft"),
            *super().get_urls(),
        ]

    def start_draft(self, request: HttpRequest, pk: int) -> HttpResponse:
        """An empty draft on this card, to edit."""
        card = self.get_object(request, str(pk))
        if request.method != "POST" or card is None:
            return HttpResponseRedirect(reverse("admin:billing_ratecard_changelist"))
        if not rate_cards.may_edit(user_of(request), card):
            raise PermissionDenied
        made = drafts.start(card=card, **said(request))
        url = reverse("admin:billing_publication_change", args=[made.pk])
        return HttpResponseRedirect(url)

    @admin.display(description="rates", ordering="rate_count")
    def rate_count(self, card: Any) -> int:
        return int(card.rate_count)

    @admin.display(description="open proposals")
    def open_proposals(self, card: RateCard) -> str:
        waiting = card.proposals.filter(state=Proposal.State.OPEN).count()
        if not waiting:
            return "–"
        url = reverse("admin:billing_proposal_changelist")
        return format_html(
            '<a href="{}?state__exact=open&card__id__exact={}">{}</a>',
            url,
            card.pk,
            waiting,
        )


class RateFormSet(forms.BaseInlineFormSet):
    """Says at each rate why it cannot be put on the draft."""

    def clean(self) -> None:
        super().clean()
        card = getattr(self.instance, "card", None)
        for form in self.forms:
            if card is None or not form.has_changed() or form.errors:
                continue
            if not form.cleaned_data.get("DELETE"):
                try:
                    drafts.check(
                        card=card,
                        stated=[drafts.terms_of(form.instance)],
                        now=timezone.now(),
                    )
                except ValidationError as error:
                    form.add_error(None, error.messages)


def _rates() -> QuerySet[Rate]:
    rates = Rate.objects.select_related("model")
    return rates.order_by(
        "model__family", "model__name", "effective_from", "context_tier", "pk"
    )


class DraftRateInline(Drafts, admin.StackedInline):
    """The rates of a draft can be edited."""

    model = Rate
    formset = RateFormSet
    fields = (
        ("model", "processing", "speed", "geo", "endpoint", "context_tier"),
        ("effective_from", "stop"),
        PRICE_FIELDS[:_PLAIN],
        PRICE_FIELDS[_PLAIN:],
        ("source", "observed_on", "confirmation"),
    )
    autocomplete_fields = ("model",)
    formfield_overrides = TYPED

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return _rates()

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        kwargs["help_texts"] = {field: _unit(field) for field in PRICE_FIELDS}
        kwargs["widgets"] = {"confirmation": forms.TextInput(attrs={"size": 40})}
        formset = super().get_formset(request, obj, **kwargs)
        # Models have a page of their own.
        chosen = formset.form.base_fields["model"].widget
        chosen.can_add_related = chosen.can_change_related = chosen.can_view_related = False
        return formset


class PublishedRateInline(ReadOnlyInline):
    """The rates of a publication, as they are read and never changed again."""

    model = Rate
    verbose_name_plural = "rates, in the currency of the card per million tokens"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        return _rates()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """A price that no rate has is no column."""
        rates = {f"rates_{field}": Count(field) for field in PRICE_FIELDS}
        priced = obj.rates.aggregate(**rates)
        shown = [_PRICES[field] for field in PRICE_FIELDS if priced[f"rates_{field}"]]
        return ("model", "conditions", "since", *shown, "sources", "observed_on")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)

    @admin.display(description="conditions")
    def conditions(self, rate: Rate) -> str:
        return ", ".join(prices.conditions(rate)) or figures.NOTHING

    @admin.display(description="from")
    def since(self, rate: Rate) -> str:
        since = _published(rate).since
        if since is None:
            return figures.NOTHING
        return f"{'ends ' if rate.stop else ''}{since:%-d %b %Y}"

    @admin.display(description="source")
    def sources(self, rate: Rate) -> str:
        """The first one named; the others when it is pointed at."""
        first = _published(rate).source
        return format_html('<span title="{}">{}</span>', rate.source, first)


def _published(rate: Rate) -> PublishedRate:
    return PublishedRate(rate, until=None, following=None)


_MADE = ("state", "created_by", "created_at")
_DECIDED = ("published_by", "published_at", "withdrawn_by", "withdrawn_at")


@admin.register(Publication)
class PublicationAdmin(Review, Kept):
    list_display = (
        "__str__",
        "card",
        "state",
        "rate_count",
        "published_at",
        "published_by",
        "review_link",
    )
    # Of cards alone that they see: a contract is named to nobody else.
    list_filter = ("state", ("card", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("card",)
    ordering = ("-pk",)
    formfield_overrides = {models.TextField: {"widget": forms.Textarea({"rows": 2})}}
    change_form_template = "admin/billing/publication/change_form.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Publication]:
        publications = Publication.objects.select_related("card__organization")
        seen = publications.filter(card__in=rate_cards.seen_by(user_of(request)))
        return seen.annotate(rate_count=Count("rates"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        always = (*_MADE, *_DECIDED)
        return always if obj is None else ("card", *always)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("card", "note")
        decided = () if is_draft(obj) else (_DECIDED,)
        return ("card", "note", _MADE, *decided)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return (DraftRateInline,) if is_draft(obj) else (PublishedRateInline,)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        if obj is None or not allowed:
            return allowed
        return is_draft(obj) and rate_cards.may_edit(user_of(request), obj.card)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            if "note" in form.changed_data:
                drafts.describe(publication=obj, note=obj.note, **said(request))
            return
        if not rate_cards.may_edit(user_of(request), obj.card):
            raise PermissionDenied
        obj.pk = drafts.start(card=obj.card, note=obj.note, **said(request)).pk

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        """The rates go through their actions, which check and audit them."""
        formset.save(commit=False)
        publication = Publication.objects.select_related("card").get(pk=form.instance.pk)
        for rate in formset.deleted_objects:
            drafts.remove_rate(rate=rate, **said(request))
        changed = [rate for rate, _ in formset.changed_objects]
        wanted = [*changed, *formset.new_objects]
        if wanted:
            drafts.put(
                publication=publication,
                stated=[drafts.terms_of(rate) for rate in wanted],
                replaced=changed,
                **said(request),
            )

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if "_review" not in request.POST:
            return super().response_change(request, obj)
        messages.success(request, "Saved.")
        url = reverse("admin:billing_publication_review", args=[obj.pk])
        return HttpResponseRedirect(url)

    @admin.display(description="rates", ordering="rate_count")
    def rate_count(self, publication: Any) -> int:
        return int(publication.rate_count)

    @admin.display(description="review")
    def review_link(self, publication: Publication) -> SafeString:
        url = reverse("admin:billing_publication_review", args=[publication.pk])
        words = "Diff and impact" if is_draft(publication) else "Rates"
        return format_html('<a href="{}">{}</a>', url, words)


@admin.register(Rate)
class RateAdmin(ReadOnly):
    list_display = (
        "model",
        "processing",
        "speed",
        "geo",
        "endpoint",
        "context_tier",
        "effective_from",
        *(
            _price_column(field, f"{_name(field)}, {_unit(field)}")
            for field in PRICE_FIELDS
        ),
        "stop",
        "state",
    )
    list_filter = (
        "model__provider",
        "publication__state",
        "model__family",
        "processing",
        "speed",
        "geo",
        ("publication__card", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("model", "publication")
    search_fields = ("model__name", "model__aliases__name", "source")
    ordering = ("model__family", "model__name", "effective_from", "context_tier", "pk")
    list_per_page = 50
    readonly_fields = ("over_time",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rate]:
        seen = rate_cards.seen_by(user_of(request))
        return Rate.objects.filter(publication__card__in=seen)

    @admin.display(description="publication", ordering="publication__state")
    def state(self, rate: Rate) -> str:
        return rate.publication.get_state_display()

    @admin.display(description="over time")
    def over_time(self, rate: Rate) -> SafeString:
        """The line that this rate stands on."""
        cards = RateCard.objects.filter(pk=rate.publication.card_id)
        lines = prices.timeline(model=rate.model, cards=cards, now=timezone.now())
        its = [line for line in lines if line.conditions == prices.conditions(rate)]
        return SafeString(
            render_to_string("admin/billing/rate_lines.html", {"lines": its, "of": rate})
        )
