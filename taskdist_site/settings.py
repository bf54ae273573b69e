"""Django's settings, all from the environment. docs/settings.md lists the variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dispatcher.api.conf import REST_FRAMEWORK  # noqa: F401 (a setting)
from dispatcher.conf import Conf
from taskdist_site import static_files
from taskdist_site.env import Environment, host_of, postgresql_settings
from taskdist_site.first_run import secret_key

env = Environment()

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("TASKDIST_VAR", str(BASE_DIR / "var"))).resolve()

DEBUG = env.flag("TASKDIST_DEBUG", default=False)
# Outside development nothing runs with secrets that can be guessed: see dispatcher.checks.
DEVELOPMENT = env.flag("TASKDIST_DEV", default=False)
SECRET_KEY = env.text("TASKDIST_SECRET_KEY") or secret_key(VAR_DIR)
# Where people find it, such as https://tasks.example.org: what hosts, origins, cookies and https follow from.
PUBLIC_URL = env.origin("TASKDIST_PUBLIC_URL")
ALLOWED_HOSTS = [
    *env.words("TASKDIST_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"]),
    *host_of(PUBLIC_URL),
]
CSRF_TRUSTED_ORIGINS = [*env.words("TASKDIST_TRUSTED_ORIGINS", []), *([PUBLIC_URL] if PUBLIC_URL else [])]

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "channels",
    "dispatcher.apps.DispatcherConfig",
]

MIDDLEWARE = [
    "taskdist_site.middleware.SafeHeaders",
    "django.middleware.security.SecurityMiddleware",
    "dispatcher.api.fallback.DatabaseOutages",
    "taskdist_site.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "dispatcher.dashboard.locale.PageLocale",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "taskdist_site.urls"
ASGI_APPLICATION = "taskdist_site.asgi.application"
WSGI_APPLICATION = "taskdist_site.wsgi.application"

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
                "dispatcher.dashboard.preferences.context",
            ],
        },
    },
]

# --- Database -------------------------------------------------------------------------------------

SQLITE_SETTINGS: dict[str, Any] = {
    "ENGINE": "dispatcher.sqlite",
    "NAME": VAR_DIR / "taskdist.sqlite3",
    "OPTIONS": {
        # A deferred transaction that starts to write may fail at once with "database is locked".
        "transaction_mode": "IMMEDIATE",
        # Seconds that one writer waits for another, whoever that is: somebody waits for the answer.
        "timeout": 5,
        # FULL: an acknowledged task survives a power cut, not only a crash of the process.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY; "
            "PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=27103364; PRAGMA cache_size=-16384"
        ),
    },
}


def database_settings() -> dict[str, Any]:
    """Return the connection settings: PostgreSQL where a URL is given, SQLite otherwise."""
    url = env.text("TASKDIST_DATABASE_URL")
    if not url:
        return SQLITE_SETTINGS
    settings = postgresql_settings("TASKDIST_DATABASE_URL", url)
    size = env.integer("TASKDIST_DATABASE_POOL", 16, minimum=1, maximum=200)
    # Times are in seconds. After `reconnect_timeout` the pool begins anew with its pauses between attempts to connect,
    # which otherwise double for minutes: a server that is back is found at once.
    settings["OPTIONS"]["pool"] = {"min_size": 1, "max_size": size, "timeout": 3, "reconnect_timeout": 2}
    # A server that cannot be reached shows soon: seconds, and milliseconds without an acknowledgement from its host.
    settings["OPTIONS"] = {"connect_timeout": "5", "tcp_user_timeout": "10000"} | settings["OPTIONS"]
    settings["CONN_MAX_AGE"] = 0  # The pool keeps connections; Django must give them back.
    return settings


DATABASES = {"default": database_settings()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# One process, one layer: nothing that has to arrive travels through it. The change feed does that.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# --- People ---------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["dispatcher.backends.NoDefaultPasswords"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
SESSION_COOKIE_NAME = "taskdist_session"
CSRF_COOKIE_NAME = "taskdist_csrf"

# Behind a proxy that ends TLS: cookies over https only, and its X-Forwarded-Proto is believed.
BEHIND_TLS_PROXY = env.flag("TASKDIST_BEHIND_TLS_PROXY", default=PUBLIC_URL.startswith("https:"))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS_PROXY
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
# Sent over https only. For this host alone, and short enough to be taken back.
SECURE_HSTS_SECONDS = env.integer("TASKDIST_HSTS_DAYS", 30 if BEHIND_TLS_PROXY else 0, minimum=0, maximum=730) * 86400
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # what else lives below the same name is not ours to decide
    "security.W008",  # the proxy redirects to https; nodes and health checks may come from inside, past it
    "security.W021",  # a browser's preload list is for the owner of the name to join
]

TASKDIST_CSP = {
    "default-src": "'none'",
    "object-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}

# --- Words and time -------------------------------------------------------------------------------

# What the sources are written in, and what programs always get. Pages: dispatcher.dashboard.locale.
LANGUAGE_CODE = "en"
# Each in its own words: whoever looks for theirs can read no other.
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
LANGUAGE_COOKIE_NAME = "taskdist_language"
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = BEHIND_TLS_PROXY
USE_TZ = True
TIME_ZONE = "UTC"

# --- Files ----------------------------------------------------------------------------------------

# By edition, which browsers keep; in debug mode they ask each time.
STATIC_URL = static_files.ROOT_URL if DEBUG else f"{static_files.ROOT_URL}{static_files.edition(BASE_DIR / 'static')}/"
STATICFILES_DIRS = [path for path in [BASE_DIR / "static"] if path.is_dir()]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 0
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- The dispatcher --------------------------------------------------------------------------------

# One variable for each field of dispatcher.conf.Conf: TASKDIST_LEASE_SECONDS sets lease_seconds.
TASKDIST = env.fields_of(Conf, prefix="TASKDIST_")
# Django reads this much of a body; the API refuses a longer one with an answer of its own.
DATA_UPLOAD_MAX_MEMORY_SIZE = Conf(**TASKDIST).max_request_bytes

# Where `manage.py up` listens unless its options say otherwise.
TASKDIST_HOST = env.text("TASKDIST_HOST", "127.0.0.1")
TASKDIST_PORT = env.integer("TASKDIST_PORT", 8000, minimum=1, maximum=65535)

# --- Logs -----------------------------------------------------------------------------------------

LOG_LEVEL = env.choice("TASKDIST_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "dispatcher.log_lines.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        # Django's own handlers would print each of its lines a second time.
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        "dispatcher": {"level": LOG_LEVEL},
        "taskdist_site": {"level": LOG_LEVEL},
    },
}
