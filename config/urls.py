"""Where everything is: the pages at the top, the API under /api/v1/, the admin."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from config import health

handler400 = "config.problems.bad_request"
handler403 = "config.problems.forbidden"
handler404 = "config.problems.not_found"
handler500 = "config.problems.server_error"

urlpatterns = [
    path("", include("teams.web.urls")),
    path("", include("billing.web.urls")),
    path("livez", health.live),
    path("readyz", health.ready),
    # One way to sign in, for pages and admin alike.
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", admin.site.urls),
    path("api/v1/", include("billing.urls")),
    path("api/v1/openapi.json", SpectacularJSONAPIView.as_view(), name="schema"),
    path(
        "api/v1/docs/",
        # The viewer writes styles of its own, and shows small pictures from data.
        csp_update({"style-src": UNSAFE_INLINE, "img-src": [SELF, "data:"]})(
            SpectacularSwaggerSplitView.as_view(url_name="schema")
        ),
        name="api-docs",
    ),
]
