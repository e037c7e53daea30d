"""Settings. A fresh checkout runs with no environment variable set; README lists them all."""

import sys
from datetime import timedelta
from pathlib import Path

from csp.constants import NONE, SELF

from console import env, services
from console.limits import BODY_LIMIT

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = env.data_dir("CONSOLE_DATA_DIR", BASE_DIR / "var")

# --- What the product is set to -------------------------------------------------------------------

# Days for which the row of a purged instance is kept; its events are kept for good.
TOMBSTONE_DAYS = env.positive("TOMBSTONE_DAYS", 90)
# Failed tries after which the schedule leaves an instance to a person. Between them it waits for a
# minute, two, four, ... a day at most: the eighth is two hours after the first.
PURGE_ATTEMPTS = env.positive("PURGE_ATTEMPTS", 8)
# Seconds after which a sweep that did not come by counts as late.
SWEEP_LATE_AFTER = 60
# Whose clock counts, see `recycle.clock`: the tests move the one of their machine.
CLOCK = "DATABASE"
# By how much the two may differ before this machine deletes nothing for good.
CLOCK_SKEW = timedelta(seconds=env.positive("CLOCK_SKEW_SECONDS", 5))

# --- Django ---------------------------------------------------------------------------------------

DEBUG = env.boolean("CONSOLE_DEBUG")
ALLOWED_HOSTS = env.words("CONSOLE_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
if env.is_open(ALLOWED_HOSTS):
    env.refuse_weak_key("CONSOLE_SECRET_KEY")
SECRET_KEY = env.secret("CONSOLE_SECRET_KEY", kept_in=DATA_DIR / "secret-key")
CSRF_TRUSTED_ORIGINS = env.words("CONSOLE_CSRF_TRUSTED_ORIGINS")
ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "recycle",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "recycle.http.identify",
    "console.access.AccessMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "console.middleware.AddressMiddleware",
    "console.middleware.SizeMiddleware",
    "console.middleware.HeadMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # A page of a list is a tenth of its size. What somebody else can put into a page and measure
    # tells nothing of its secrets: tokens are masked anew in each response, and Django adds a name
    # of random length.
    "django.middleware.gzip.GZipMiddleware",
    "console.middleware.BeginMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "console.middleware.LoginMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "recycle.sessions.KeepSessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "recycle.http.ConsoleMiddleware",
    "recycle.views.scope.ScopeMiddleware",
    "recycle.views.errors.AwayMiddleware",
]

# Our own, then those that come with an application.
LOADERS = ["console.indents.Loader", "django.template.loaders.app_directories.Loader"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [("django.template.loaders.cached.Loader", LOADERS)],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "recycle.http.shell",
            ],
        },
    },
    # What is there for each row of a list.
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {"environment": "recycle.templatetags.rows.environment"},
    },
]

# --- Data -----------------------------------------------------------------------------------------

# ATOMIC_REQUESTS stays off: with IMMEDIATE every GET would take SQLite's write lock.
DATABASES = {"default": services.database("DATABASE_URL", DATA_DIR)}

# --- People ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "recycle.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "recycle:overview"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = ["recycle.passwords.Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "recycle.passwords.GuessableValidator"},
]

# A login ends when it was not used for so long, and two weeks after it began in any case.
SESSION_ENGINE = "recycle.sessions"
SESSION_IDLE = timedelta(hours=env.positive("SESSION_IDLE_HOURS", 12))
SESSION_COOKIE_AGE = 14 * 24 * 3600

# The login: by name and password, for people whom an administrator has made. There is no sign-up,
# and without a mail server nothing that would send mail; the addresses of both do not exist.
ACCOUNT_ADAPTER = "recycle.login.Adapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
# Failed attempts: from an address, and (key) from an address with a name or at one's own password.
ACCOUNT_RATE_LIMITS = {
    "login": None,  # would count every HEAD of the page as well
    "login_failed": "30/5m/ip,5/5m/key",
    "change_password": "5/5m/user",
}
# How many proxies of our own stand in front. Each adds an entry to X-Forwarded-For; what comes
# before those, anybody can write there.
TRUSTED_PROXIES = ALLAUTH_TRUSTED_PROXY_COUNT = env.count("CONSOLE_TRUSTED_PROXIES", 0)

# --- Words and times ------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = USE_TZ = True
TIME_ZONE = env.time_zone("CONSOLE_TIME_ZONE", "UTC")
# Where the months of subscriptions are counted, unless their account says otherwise. KEC bills in
# China's time.
BILLING_TIME_ZONE = env.time_zone("CONSOLE_BILLING_TIME_ZONE", "Asia/Shanghai")

# --- Static files ---------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if DEBUG:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

# --- Security -------------------------------------------------------------------------------------

HTTPS = env.boolean("CONSOLE_HTTPS")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# They bind other hosts than ours, for a year: only who knows all of them can say so.
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS and env.boolean("CONSOLE_HSTS_SUBDOMAINS")
SECURE_HSTS_PRELOAD = HTTPS and env.boolean("CONSOLE_HSTS_PRELOAD")
# Django's own checks ask for both.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [
    r"^healthz$",
    r"^readyz$",
    r"^metrics$",
]  # probes speak plain HTTP inside the cluster
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    },
}
# Who probes with this token, as `Authorization: Bearer`, is told what `/readyz` found; without one,
# only whether.
PROBE_TOKEN = env.text("CONSOLE_PROBE_TOKEN")
# Who asks with this one is shown `/metrics`; without one nobody is.
METRICS_TOKEN = env.text("METRICS_TOKEN")
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_LIMIT
# Fields in one POST: more than the form accepts, so that the form can say how many it takes.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

# --- Tasks ----------------------------------------------------------------------------------------

REDIS_URL = services.redis("REDIS_URL", "redis://127.0.0.1:6379/0")
# What several processes and nodes count together: the failed logins.
CACHES = {"default": services.cache("CACHE_URL", REDIS_URL)}
CELERY_BROKER_URL = services.celery_broker(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Below the time limit a lost worker's task comes back; every task may run twice.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 900}
CELERY_TASK_TIME_LIMIT = 600
CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# One entry a pass. None has a time at which it expires: that would be compared with the clock of
# another machine.
CELERY_BEAT_SCHEDULER = "console.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    f"every-{seconds}-seconds-{task.replace('_', '-')}": {
        "task": f"recycle.tasks.{task}",
        "schedule": float(seconds),
    }
    for task, seconds in {
        "expire_due": 10,
        "purge_due": 10,
        "delete_due": 10,
        "forget_tombstones": 10,
        "clear_sessions": 10,
        # Somebody is waiting for these.
        "carry_out_jobs": 2,
    }.items()
}

DEFAULT_EXCEPTION_REPORTER_FILTER = "console.reports.ReportFilter"

# --- Logs -----------------------------------------------------------------------------------------

# How a line looks: `console.logs` reads it, since `up` has to know as well.
env.choice("CONSOLE_LOG_FORMAT", "AUTO", ("AUTO", "JSON", "PLAIN"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "console.logs.make_formatter"}},
    # Who probes is told that it does not work yet; before everything is up that is no news.
    "filters": {
        "probes": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: (
                getattr(getattr(record, "request", None), "path", "") != "/readyz"
            ),
        }
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}
    },
    # They say when every task comes and goes; what a task has to say, it says itself.
    "loggers": {
        **{
            name: {"level": "WARNING"}
            for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat")
        },
        # What was wrong with a request, its line says already.
        "django.request": {"filters": ["probes"], "level": "ERROR"},
        # A queue is no news, and neither is a client who leaves.
        "waitress": {"level": "WARNING"},
        "waitress.queue": {"level": "ERROR"},
    },
    "root": {
        "handlers": ["stderr"],
        "level": env.choice("CONSOLE_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
}
