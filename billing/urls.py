from django.urls import path, register_converter
from django.urls.converters import StringConverter

from billing.api.alerts import (
    AcknowledgeView,
    AlertsView,
    AlertView,
    SnoozeView,
    UnacknowledgeView,
    UnsnoozeView,
)
from billing.api.budgets import (
    BudgetPreviewView,
    BudgetRevisionsView,
    BudgetsView,
    BudgetView,
)
from billing.api.channels import (
    ChannelSecretView,
    ChannelsView,
    ChannelTestView,
    ChannelView,
    DeliveryRetryView,
)
from billing.api.estimates import (
    EstimateApprovalView,
    EstimateCapReturnView,
    EstimateComputationView,
    EstimateReturnView,
    EstimateSubmissionView,
    EstimatesView,
    OneEstimateView,
)
from billing.api.holds import HoldsView, HoldView, VerdictView
from billing.api.proposals import AcceptView, DismissView, ProposalsView
from billing.api.quotes import QuoteView
from billing.api.raises import (
    BudgetPolicyView,
    BudgetRaisesView,
    RaiseApprovalView,
    RaiseDeclineView,
    RaiseView,
    RaiseWithdrawalView,
)
from billing.api.rate_cards import (
    CopyView,
    DiffView,
    DraftRatesView,
    DraftRateView,
    FillView,
    ImpactView,
    PublicationsView,
    PublicationView,
    PublishView,
    RateCardsView,
    WithdrawView,
)
from billing.api.rates import RatesView, TimelineView
from billing.api.reports import BudgetFlagsView, EstimateVsActualView, SpendView
from billing.api.rerates import (
    RerateReversalView,
    RerateStartView,
    ReratesView,
    RerateView,
    UnpricedView,
)
from billing.api.reviews import (
    EstimateAccuracyView,
    RecommendedCapView,
    ReviewClosureView,
    ReviewsView,
    ReviewView,
)
from billing.api.routing import RoutingBreachesView, RoutingPoliciesView
from billing.api.samples import SamplesView, SampleView, TextTokensView
from billing.api.savings import (
    BatchCandidatesView,
    CacheEconomicsView,
    OutputsView,
)
from billing.api.usage import UsageRecordView, UsageView, UsageVoidView
from billing.api.variance import VarianceView
from billing.api.velocity_rules import VelocityRulesView, VelocityRuleView
from billing.api.what_if import (
    SavedWhatIfsView,
    SavedWhatIfView,
    WhatIfEstimateView,
    WhatIfView,
)


class AnyText(StringConverter):
    """An id is whatever the provider made it, slashes and line breaks included."""

    regex = "(?s:.+)"


register_converter(AnyText, "text")

_PUBLICATION = "rate-cards/<int:card_id>/publications/<int:publication_id>"

# Asked thousands of times a second, and found first (config/door.py).
door = [
    path("usage", UsageView.as_view(), name="usage"),
    path("budgets/verdict", VerdictView.as_view(), name="verdict"),
    path("holds", HoldsView.as_view(), name="holds"),
    path("holds/<uuid:hold_id>", HoldView.as_view(), name="hold"),
]

urlpatterns = [
    *door,
    path("usage/<text:record_id>/void", UsageVoidView.as_view(), name="void-usage"),
    path("usage/<text:record_id>", UsageRecordView.as_view(), name="usage-record"),
    path("prices/quote", QuoteView.as_view(), name="quote"),
    path("reports/spend", SpendView.as_view(), name="spend"),
    path(
        "reports/estimate-vs-actual",
        EstimateVsActualView.as_view(),
        name="estimate-vs-actual",
    ),
    path("reports/variance", VarianceView.as_view(), name="variance"),
    path(
        "reports/estimate-accuracy",
        EstimateAccuracyView.as_view(),
        name="estimate-accuracy",
    ),
    path("reports/recommended-cap", RecommendedCapView.as_view(), name="recommended-cap"),
    path("reviews", ReviewsView.as_view(), name="reviews"),
    path("reviews/<int:review_id>", ReviewView.as_view(), name="one-review"),
    path(
        "reviews/<int:review_id>/close",
        ReviewClosureView.as_view(),
        name="close-review",
    ),
    path("reports/budget-flags", BudgetFlagsView.as_view(), name="budget-flags"),
    path("reports/cache-economics", CacheEconomicsView.as_view(), name="cache-economics"),
    path("reports/outputs", OutputsView.as_view(), name="outputs"),
    path(
        "reports/batch-candidates", BatchCandidatesView.as_view(), name="batch-candidates"
    ),
    path(
        "reports/routing-breaches", RoutingBreachesView.as_view(), name="routing-breaches"
    ),
    path("routing-policies", RoutingPoliciesView.as_view(), name="routing-policies"),
    path("reports/unpriced", UnpricedView.as_view(), name="unpriced"),
    path("rerates", ReratesView.as_view(), name="rerates"),
    path("rerates/<int:rerate_id>", RerateView.as_view(), name="rerate"),
    path("rerates/<int:rerate_id>/start", RerateStartView.as_view(), name="start-rerate"),
    path(
        "rerates/<int:rerate_id>/reverse",
        RerateReversalView.as_view(),
        name="reverse-rerate",
    ),
    path("budgets", BudgetsView.as_view(), name="budgets"),
    path("budgets/preview", BudgetPreviewView.as_view(), name="budget-preview"),
    path("budgets/<int:budget_id>", BudgetView.as_view(), name="budget"),
    path(
        "budgets/<int:budget_id>/revisions",
        BudgetRevisionsView.as_view(),
        name="budget-revisions",
    ),
    path(
        "budgets/<int:budget_id>/raises", BudgetRaisesView.as_view(), name="budget-raises"
    ),
    path("budget-policy", BudgetPolicyView.as_view(), name="budget-policy"),
    path("raises/<int:request_id>", RaiseView.as_view(), name="raise-request"),
    path(
        "raises/<int:request_id>/approve",
        RaiseApprovalView.as_view(),
        name="approve-raise",
    ),
    path(
        "raises/<int:request_id>/decline",
        RaiseDeclineView.as_view(),
        name="decline-raise",
    ),
    path(
        "raises/<int:request_id>/withdraw",
        RaiseWithdrawalView.as_view(),
        name="withdraw-raise",
    ),
    path("alerts", AlertsView.as_view(), name="alerts"),
    path("alerts/<int:alert_id>", AlertView.as_view(), name="alert"),
    path(
        "alerts/<int:alert_id>/acknowledge",
        AcknowledgeView.as_view(),
        name="acknowledge-alert",
    ),
    path(
        "alerts/<int:alert_id>/unacknowledge",
        UnacknowledgeView.as_view(),
        name="unacknowledge-alert",
    ),
    path("alerts/<int:alert_id>/snooze", SnoozeView.as_view(), name="snooze-alert"),
    path("alerts/<int:alert_id>/unsnooze", UnsnoozeView.as_view(), name="unsnooze-alert"),
    path("velocity-rules", VelocityRulesView.as_view(), name="velocity-rules"),
    path("velocity-rules/<int:rule_id>", VelocityRuleView.as_view(), name="velocity-rule"),
    path("channels", ChannelsView.as_view(), name="channels"),
    path("channels/<int:channel_id>", ChannelView.as_view(), name="channel"),
    path(
        "channels/<int:channel_id>/rotate",
        ChannelSecretView.as_view(),
        name="rotate-channel",
    ),
    path("channels/<int:channel_id>/test", ChannelTestView.as_view(), name="test-channel"),
    path(
        "deliveries/<int:delivery_id>/retry",
        DeliveryRetryView.as_view(),
        name="retry-delivery",
    ),
    path("estimates", EstimatesView.as_view(), name="estimates"),
    path("estimates/compute", EstimateComputationView.as_view(), name="compute-estimate"),
    path("estimates/<int:estimate_id>", OneEstimateView.as_view(), name="one-estimate"),
    path(
        "estimates/<int:estimate_id>/submit",
        EstimateSubmissionView.as_view(),
        name="submit-estimate",
    ),
    path(
        "estimates/<int:estimate_id>/send-back",
        EstimateReturnView.as_view(),
        name="send-back-estimate",
    ),
    path(
        "estimates/<int:estimate_id>/approve",
        EstimateApprovalView.as_view(),
        name="approve-estimate",
    ),
    path(
        "estimates/<int:estimate_id>/take-back-cap",
        EstimateCapReturnView.as_view(),
        name="take-back-estimate-cap",
    ),
    path("what-if", WhatIfView.as_view(), name="what-if"),
    path("what-if/estimate", WhatIfEstimateView.as_view(), name="estimate-what-if"),
    path("what-if/saved", SavedWhatIfsView.as_view(), name="saved-what-ifs"),
    path("what-if/saved/<int:saved_id>", SavedWhatIfView.as_view(), name="saved-what-if"),
    path("samples", SamplesView.as_view(), name="samples"),
    path("samples/<int:sample_id>", SampleView.as_view(), name="sample"),
    path("text-tokens", TextTokensView.as_view(), name="text-tokens"),
    path("rates", RatesView.as_view(), name="rates"),
    path("rates/timeline", TimelineView.as_view(), name="rate-timeline"),
    path("rate-cards", RateCardsView.as_view(), name="rate-cards"),
    path(
        "rate-cards/<int:card_id>/publications",
        PublicationsView.as_view(),
        name="publications",
    ),
    path(_PUBLICATION, PublicationView.as_view(), name="publication"),
    path(f"{_PUBLICATION}/rates", DraftRatesView.as_view(), name="draft-rates"),
    path(f"{_PUBLICATION}/rates/<int:rate_id>", DraftRateView.as_view(), name="draft-rate"),
    path(f"{_PUBLICATION}/copy", CopyView.as_view(), name="copy-rates"),
    path(f"{_PUBLICATION}/fill", FillView.as_view(), name="fill-rates"),
    path(f"{_PUBLICATION}/diff", DiffView.as_view(), name="draft-diff"),
    path(f"{_PUBLICATION}/impact", ImpactView.as_view(), name="draft-impact"),
    path(f"{_PUBLICATION}/publish", PublishView.as_view(), name="publish"),
    path(f"{_PUBLICATION}/withdraw", WithdrawView.as_view(), name="withdraw"),
    path("rate-cards/<int:card_id>/proposals", ProposalsView.as_view(), name="proposals"),
    path(
        "rate-cards/<int:card_id>/proposals/accept",
        AcceptView.as_view(),
        name="accept-proposals",
    ),
    path(
        "rate-cards/<int:card_id>/proposals/dismiss",
        DismissView.as_view(),
        name="dismiss-proposals",
    ),
]
