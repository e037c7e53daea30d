"""The console's addresses, and the smallest page beside them."""

from django.urls import path

from console.urls import *  # noqa: F403
from console.urls import urlpatterns as console
from tests.bench.rivals import smallest_page

urlpatterns = [*console, path("bench/smallest/", smallest_page)]
