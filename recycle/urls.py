"""The console's addresses: noun, then verb."""

from django.urls import path

from recycle.views import instances, log, overview, preferences, recycle_bin, verbs

app_name = "recycle"
urlpatterns = [
    path("", overview.index, name="overview"),
    path("instances/", instances.index, name="instances"),
    path("instances/export.csv", instances.export, name="export_instances"),
    path("instances/start/", verbs.start, name="start"),
    path("instances/stop/", verbs.stop, name="stop"),
    path("instances/restart/", verbs.restart, name="restart"),
    path("instances/delete/", verbs.delete, name="delete"),
    path("instances/renew/", verbs.renew, name="renew"),
    path("instances/<uuid:pk>/", instances.detail, name="instance"),
    path("recycle-bin/", recycle_bin.index, name="bin"),
    path("recycle-bin/export.csv", recycle_bin.export, name="export_bin"),
    path("recycle-bin/expired/", recycle_bin.expired, name="expired"),
    path("recycle-bin/expired/export.csv", recycle_bin.export_expired, name="export_expired"),
    path("recycle-bin/restore/", verbs.restore, name="restore"),
    path("recycle-bin/purge/", verbs.purge, name="purge"),
    path("operation-log/", log.index, name="log"),
    path("operation-log/export.csv", log.export, name="export_log"),
    path("preferences/account/", preferences.account, name="account"),
    path("preferences/theme/", preferences.theme, name="theme"),
    path("preferences/columns/", preferences.columns, name="columns"),
    path("preferences/dismiss-tip/", preferences.dismiss_tip, name="dismiss_tip"),
]
