"""All settings, read from the environment. `.env.example` names every variable."""

from pathlib import Path
from urllib.parse import quote

import environ
from csp.constants import NONE, SELF

from config import databases

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

# --- What this process is -----------------------------------------------------------

SECRET_KEY = env.str("SECRET_KEY")
DEBUG = env.bool("DEBUG", default=False)
HOME = BASE_DIR / env.str("PURSER_HOME", default="var")

# --- Who may talk to it -------------------------------------------------------------

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
HTTPS_ONLY = env.bool("HTTPS_ONLY", default=True)
SECURE_SSL_REDIRECT = HTTPS_ONLY
# Probes come from inside, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS_ONLY
SECURE_HSTS_PRELOAD = HTTPS_ONLY
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
X_FRAME_OPTIONS = "DENY"

# Nothing inline, nothing evaluated, nothing from elsewhere. The page of the API adds the
# styles that its viewer writes (config/urls.py).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# --- Parts --------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "teams",
    "billing",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.middleware.addresses_without_nul",
    "config.middleware.staff_see_their_teams",
]

# Where usage is posted (config/door.py), by programs.
DOOR_MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            # How figures are written: amounts, counts, times, the standing of a budget.
            "builtins": ["billing.web.display", "billing.web.rate_display"],
        },
    },
]

STATIC_URL = "static/"
# Files are served from where the packages keep them: nothing to collect on a new machine.
WHITENOISE_USE_FINDERS = True

# --- Store --------------------------------------------------------------------------

DATABASE_ROLE = env.str("DATABASE_ROLE", default="owner")
DATABASES = {"default": databases.configured(env, DATABASE_ROLE)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Shared by all web processes; `manage.py prepare` makes its table. It holds failed
# attempts to sign in: there is room for more than can be made while they count.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "purser_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- Queue --------------------------------------------------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="pgmq://")

# What a worker or beat touches while it works, for a health check; each has its own.
HEARTBEAT_FILE = env.str("HEARTBEAT_FILE", default="")

# --- Alerts -------------------------------------------------------------------------

# In links of alerts.
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000")

# Without a mail server, e-mails are files in PURSER_HOME/mail.
EMAIL_URL = env.str("EMAIL_URL", default="")
vars().update(env.email_url_config(EMAIL_URL or f"filemail:///{quote(str(HOME / 'mail'))}"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Purser <purser@localhost>")

# Where PagerDuty takes events; its European region has an address of its own.
PAGERDUTY_URL = env.str("PAGERDUTY_URL", default="https://events.pagerduty.com/v2/enqueue")

# Counts the tokens of a text that somebody plans with, at Anthropic; without a key none.
ANTHROPIC_API_KEY = env.str("ANTHROPIC_API_KEY", default="")
ANTHROPIC_URL = env.str("ANTHROPIC_URL", default="https://api.anthropic.com")

# Called each minute while everything works; who is behind it notices when it is not.
DEADMAN_URL = env.str("DEADMAN_URL", default="")

# Development only: "host:port" that webhooks may reach although it is private.
OUTGOING_ALLOW = frozenset(env.list("OUTGOING_ALLOW", default=[]))

# --- Language and time --------------------------------------------------------------

LANGUAGE_CODE = "en-us"
USE_I18N = True
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True
TIME_ZONE = "UTC"

# --- API ----------------------------------------------------------------------------

# A little above the usage door's own limit, so that the door can answer 413 itself.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4_000_000
# More than a sample that is uploaded: its text never lies on a disk.
FILE_UPLOAD_MAX_MEMORY_SIZE = 11_000_000

# Usage records that one API key may post in a minute, unless it has a limit of its own.
RATE_LIMIT = env.int("RATE_LIMIT", default=6_000_000)

# While more usage records wait to be counted, no further ones are taken.
BACKLOG_LIMIT = env.int("BACKLOG_LIMIT", default=5_000_000)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["teams.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["teams.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["billing.api.parsers.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.problems.answer",
    "UNAUTHENTICATED_USER": None,
    # No OPTIONS, no ?format=: the OpenAPI document says what there is.
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Purser",
    "DESCRIPTION": "The spend ledger for teams that build on LLM APIs.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": [],
}

# --- Accounts -----------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

# --- Logs ---------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
}
