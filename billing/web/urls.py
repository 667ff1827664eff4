"""The pages, at the top of the site."""

from django.urls import path

from billing.web.alerts import alert_details, inbox
from billing.web.budget_editor import (
    edit_budget,
    end_budget,
    new_organization_budget,
    new_team_budget,
)
from billing.web.channels import (
    channel_list,
    end_channel,
    mail_me,
    rotate_channel,
    send_again,
    try_channel,
)
from billing.web.estimates import (
    edit_estimate,
    estimate_list,
    estimate_page,
    new_estimate,
)
from billing.web.overview import home
from billing.web.prices import model_prices, published_prices
from billing.web.raises import ask_for_raise, raise_request, raise_requests
from billing.web.reviews import new_review, review_list, review_page
from billing.web.routing import routing_policy
from billing.web.samples import (
    delete_sample,
    new_sample,
    sample_list,
    sample_page,
    text_in_tokens,
)
from billing.web.savings import savings
from billing.web.team import team_budget
from billing.web.variance import team_variance
from billing.web.velocities import end_velocity, velocity_list
from billing.web.what_if import team_what_if

urlpatterns = [
    path("", home, name="home"),
    path("teams/<slug:slug>/", team_budget, name="team"),
    path("teams/<slug:slug>/savings", savings, name="savings"),
    path("teams/<slug:slug>/routing", routing_policy, name="routing"),
    path("teams/<slug:slug>/what-if", team_what_if, name="team-what-if"),
    path("teams/<slug:slug>/variance", team_variance, name="team-variance"),
    path("channels", channel_list, name="channel-list"),
    path("channels/mine", mail_me, name="mail-me"),
    path("channels/<int:channel_id>/test", try_channel, name="try-channel"),
    path("channels/<int:channel_id>/rotate", rotate_channel, name="rotate-secret"),
    path("channels/<int:channel_id>/end", end_channel, name="end-channel"),
    path("velocity", velocity_list, name="velocity"),
    path("velocity/<int:rule_id>/end", end_velocity, name="end-velocity"),
    path("deliveries/<int:delivery_id>/retry", send_again, name="send-again"),
    path("teams/<slug:slug>/budgets/new", new_team_budget, name="new-team-budget"),
    path("budgets/new", new_organization_budget, name="new-budget"),
    path("budgets/<int:budget_id>/edit", edit_budget, name="edit-budget"),
    path("budgets/<int:budget_id>/end", end_budget, name="end-budget"),
    path("budgets/<int:budget_id>/raise", ask_for_raise, name="ask-for-raise"),
    path("alerts", inbox, name="inbox"),
    path("alerts/<int:alert_id>", alert_details, name="alert-details"),
    path("estimates", estimate_list, name="estimates"),
    path("estimates/new", new_estimate, name="new-estimate"),
    path("estimates/<int:estimate_id>", estimate_page, name="estimate"),
    path("estimates/<int:estimate_id>/edit", edit_estimate, name="edit-estimate"),
    path("raises", raise_requests, name="raises"),
    path("raises/<int:request_id>", raise_request, name="raise"),
    path("reviews", review_list, name="review-list"),
    path("reviews/new", new_review, name="new-review"),
    path("reviews/<int:review_id>", review_page, name="review"),
    path("samples", sample_list, name="sample-list"),
    path("samples/new", new_sample, name="new-sample"),
    path("samples/words", text_in_tokens, name="text-in-tokens"),
    path("samples/<int:sample_id>", sample_page, name="sample-page"),
    path("samples/<int:sample_id>/delete", delete_sample, name="delete-sample"),
    path("prices", published_prices, name="prices"),
    path("prices/<str:provider>/<path:name>", model_prices, name="model-prices"),
]
