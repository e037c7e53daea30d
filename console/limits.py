"""What a request may be, for whoever sees it first: the web server or the application."""

from django.utils.translation import gettext_noop

# The longest form there is, 20,000 selected rows, takes less than half of this.
BODY_LIMIT = 2_500_000
TOO_LARGE = gettext_noop("This request is too large: the console takes at most 2.5 MB.")
NO_UPLOADS = gettext_noop("The console takes no files: send forms as application/x-www-form-urlencoded.")
NO_LENGTH = gettext_noop("This request does not say how long it is: send Content-Length.")
TOO_MANY = gettext_noop("This address has too many fields.")
