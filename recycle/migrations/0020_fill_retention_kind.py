"""Takes the sentences apart that said where the time in the bin comes from: "rule KEY=VALUE",
"extended NAME".

Key and value of a tag may hold equals signs of their own. Where the account has a rule that is
written like the sentence, it is that one; else the first sign stands between them.
"""

from django.db import migrations


def tag_of(text, rules):
    """The key and the value that this text means."""
    key, _sign, value = text.partition("=")
    return next(((k, v) for k, v in rules if text == (f"{k}={v}" if v else k)), (key, value))


def written(key, value):
    return f"{key}={value}" if value else key


def rules_by_account(apps):
    rules = {}
    for rule in apps.get_model("recycle", "RetentionRule").objects.all():
        rules.setdefault(rule.account_id, []).append((rule.key, rule.value))
    return rules


def changes_of_rules(apps):
    """The events of changed rules; those of the account's own time have no tag."""
    events = apps.get_model("recycle", "Event").objects
    return events.filter(action="update", kind="", detail__has_key="retention").order_by("id")


def take_apart(apps, schema_editor):
    instances = apps.get_model("recycle", "Instance").objects
    rules = rules_by_account(apps)
    for sentence, account in (
        instances.exclude(retention="").values_list("retention", "account").distinct()
    ):
        kind, _space, subject = sentence.partition(" ")
        if kind not in ("account", "rule", "extended"):
            # Pages said "standard" of any other sentence.
            kind, subject = "standard", ""
        if kind == "rule":
            subject = "\n".join(tag_of(subject, rules.get(account, ())))
        instances.filter(retention=sentence, account=account).update(
            retention_kind=kind, retention_subject=subject
        )
    for event in changes_of_rules(apps).iterator():
        change = event.detail["retention"]
        if tag := change.pop("tag", ""):
            change["key"], change["value"] = tag_of(tag, rules.get(event.account_id, ()))
        event.save(update_fields=["detail"])


def put_together(apps, schema_editor):
    instances = apps.get_model("recycle", "Instance").objects
    # What left the bin in the meantime.
    instances.filter(retention_kind=None).exclude(retention="").update(retention="")
    for kind, subject in (
        instances.exclude(retention_kind=None)
        .values_list("retention_kind", "retention_subject")
        .distinct()
    ):
        text = written(*subject.split("\n")) if kind == "rule" else subject
        instances.filter(retention_kind=kind, retention_subject=subject).update(
            retention=f"{kind} {text}".rstrip()
        )
    for event in changes_of_rules(apps).iterator():
        change = event.detail["retention"]
        change["tag"] = written(change.pop("key", ""), change.pop("value", ""))
        event.save(update_fields=["detail"])


class Migration(migrations.Migration):
    dependencies = [("recycle", "0019_retention_kind")]

    operations = [migrations.RunPython(take_apart, put_together, elidable=True)]
