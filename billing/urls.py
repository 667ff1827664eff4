from django.urls import path, register_converter
from django.urls.converters import StringConverter

from billing.api.quotes import QuoteView
from billing.api.reports import SpendView
from billing.api.usage import UsageRecordView, UsageView


class AnyText(StringConverter):
    """An id is whatever the provider made it, slashes and line breaks included."""

    regex = "(?s:.+)"


register_converter(AnyText, "text")

urlpatterns = [
    path("usage", UsageView.as_view(), name="usage"),
    path("usage/<text:record_id>", UsageRecordView.as_view(), name="usage-record"),
    path("prices/quote", QuoteView.as_view(), name="quote"),
    path("reports/spend", SpendView.as_view(), name="spend"),
]
