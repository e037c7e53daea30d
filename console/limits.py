"""What a request may be, for whoever sees it first: the web server or the application."""


def _(sentence: str) -> str:
    """Only marks it for the catalogue. Django's own mark reads the settings, which read this."""
    return sentence


# The longest form there is, 20,000 selected rows, takes less than half of this.
BODY_LIMIT = 2_500_000
TOO_LARGE = _("This request is too large: the console takes at most 2.5 MB.")
NO_UPLOADS = _("The console takes no files: send forms as application/x-www-form-urlencoded.")
NO_LENGTH = _("This request does not say how long it is: send Content-Length.")
TOO_MANY = _("This address has too many fields.")
