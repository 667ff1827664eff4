"""The pages, at the top of the site."""

from django.urls import path

from billing.web.overview import home
from billing.web.prices import model_prices, published_prices
from billing.web.team import team_budget

urlpatterns = [
    path("", home, name="home"),
    path("teams/<slug:slug>/", team_budget, name="team"),
    path("prices", published_prices, name="prices"),
    path("prices/<str:provider>/<path:name>", model_prices, name="model-prices"),
]
