"""The pages, at the top of the site."""

from django.urls import path

from billing.web.overview import home
from billing.web.prices import published_prices
from billing.web.team import team_budget

urlpatterns = [
    path("", home, name="home"),
    path("teams/<slug:slug>/", team_budget, name="team"),
    path("prices", published_prices, name="prices"),
]
