"""Signing in, and how often it may fail.

An attempt claims a place of its user name and one of its address, and gives both back
when it succeeds. Places are few and come free with time, so that a password cannot be
guessed fast, and nobody is locked out for longer than `FREE_AFTER`.
"""

import ipaddress
from datetime import timedelta
from typing import Any
from unicodedata import normalize

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from teams import places
from teams.places import Places

FREE_AFTER = timedelta(minutes=10)
PLACES_OF_A_NAME = 10
# An office may stand behind one address.
PLACES_OF_AN_ADDRESS = 50
# One customer of a network has that much of it, and chooses freely within.
_IPV6_PREFIX = 64


class SignIn(LoginView):
    """The one way to sign in, for pages and admin alike."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        now = timezone.now()
        self._claimed: list[str] = []
        for of in _places(request):
            claimed = of.claim(now)
            if claimed is None:
                # Whoever waits is not made to wait longer by trying.
                places.give_back(self._claimed)
                return self._refused(of.next_free(now) - now)
            self._claimed.append(claimed)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        places.give_back(self._claimed)
        return super().form_valid(form)

    def _refused(self, wait: timedelta) -> HttpResponse:
        """The same for every name, whether somebody has it or not."""
        seconds = max(1, -(-wait // timedelta(seconds=1)))
        said = {"wait_minutes": -(-seconds // 60)}
        form = self.form_class(self.request)
        return self.response_class(
            request=self.request,
            template=self.get_template_names(),
            context=self.get_context_data(form=form, **said),
            status=429,
            headers={"Retry-After": str(seconds)},
        )


def _places(request: HttpRequest) -> tuple[Places, ...]:
    name = normalize("NFKC", request.POST.get("username", "")).casefold().strip()
    return (
        _of(f"address {_address(request)}", PLACES_OF_AN_ADDRESS),
        _of(f"name {name}", PLACES_OF_A_NAME),
    )


def _of(whom: str, count: int) -> Places:
    return Places("sign-in", whom, count, FREE_AFTER)


def _address(request: HttpRequest) -> str:
    """Who asks: the peer or, behind a proxy, whom the proxy names last.

    What stands before that in X-Forwarded-For was sent by whoever asks.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_PROXY:
        forwarded = request.headers.get("X-Forwarded-For", "")
        peer = forwarded.rpartition(",")[2].strip() or peer
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:  # a Unix socket has none
        return peer
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
