"""`POST /prices/quote`: what records would cost. Nothing is stored."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api import schemas
from billing.api.bodies import records_in
from billing.models import rate_book
from billing.reports import quotes
from teams.api.authentication import key_of
from teams.models.api_keys import Scope


class QuoteView(APIView):
    scopes = {"POST": Scope.PRICES_READ}

    @schemas.post_quote
    def post(self, request: Request) -> Response:
        organization = key_of(request).organization
        book = rate_book.current(organization.pk)
        return Response(
            {
                "results": [
                    quotes.as_json(quotes.quote(raw, book), organization.currency)
                    for raw in records_in(request)
                ]
            }
        )
