"""SQLite as Django has it, but for one question that it need not ask.

Django asks each new connection whether SQLite knows JSON, in a transaction, and our transactions
begin by taking the write lock. While somebody holds that for long (an import), the question waited,
failed, and the thread took the answer to be no: every page with JSON was an error from then on.
"""

from django.db.backends.sqlite3 import base, features


class DatabaseFeatures(features.DatabaseFeatures):
    # Part of SQLite since 3.38; nobody builds the older ones that Django allows without it.
    supports_json_field = True


class DatabaseWrapper(base.DatabaseWrapper):
    features_class = DatabaseFeatures
