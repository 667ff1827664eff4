"""The web process: role `app`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_ROLE", "app")

from django.core.wsgi import get_wsgi_application

from config import garbage

application = get_wsgi_application()
garbage.collect_seldom()
