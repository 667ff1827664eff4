from django.urls import path

from billing.api.quotes import QuoteView
from billing.api.reports import SpendView
from billing.api.usage import UsageRecordView, UsageView

urlpatterns = [
    path("usage", UsageView.as_view(), name="usage"),
    path("usage/<path:record_id>", UsageRecordView.as_view(), name="usage-record"),
    path("prices/quote", QuoteView.as_view(), name="quote"),
    path("reports/spend", SpendView.as_view(), name="spend"),
]
