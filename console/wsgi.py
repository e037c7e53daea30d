"""What the web server loads."""

import os

from django.core.wsgi import get_wsgi_application

from console import bootstrap

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
bootstrap.hold_own()

application = get_wsgi_application()
