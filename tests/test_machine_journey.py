"""Rename, another configuration and a scheduled deletion in a real Chromium: in both languages,
with a script and without.
"""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from recycle.lifecycle import State
from recycle.models import Instance, InstanceType

pytestmark = pytest.mark.browser

WORDS = {
    "en": ("More", "Rename", "Change configuration", "Schedule deletion", "OK"),
    "zh": ("更多", "重命名", "更改配置", "定时删除", "确定"),
}
CANCEL = {"en": "Cancel scheduled deletion", "zh": "取消定时删除"}


@pytest.mark.parametrize(("language", "script"), [("zh", True), ("en", False)])
def test_an_instance_is_renamed_changed_and_given_an_end_that_is_cancelled(
    open_page, oscar, make_instance, language, script
):
    more, rename, change, schedule, ok = WORDS[language]
    InstanceType.objects.create(name="N3.4B", family="N3", vcpu=4, memory_gb=8)
    instance = make_instance(State.STOPPED, name="web-old")
    locale = "zh-CN" if language == "zh" else "en"
    page: Page = open_page(
        oscar, java_script_enabled=script, locale=locale, timezone_id="Asia/Shanghai"
    )
    dialog, said = page.get_by_role("dialog"), page.locator("#messages")

    def choose(verb: str) -> None:
        page.goto(f"/instances/{instance.pk}/")
        page.get_by_role("button", name=re.compile(f"^{more}")).last.click()
        page.locator("#maintain").get_by_text(verb, exact=True).click()

    choose(rename)
    dialog.locator("#name").fill("web-new")
    dialog.get_by_role("button", name=ok).click()
    expect(said).not_to_be_empty()
    choose(change)
    expect(dialog).to_contain_text("N3.2B → N3.4B")
    dialog.get_by_role("button", name=ok).click()
    expect(said).not_to_be_empty()
    choose(schedule)
    moment = timezone.now() + timedelta(days=3)
    dialog.locator("#delete_at").fill(moment.strftime("%Y-%m-%dT%H:%M"))
    dialog.get_by_role("button", name=ok).click()
    expect(page.locator("time[data-ends]")).to_be_visible()

    page.goto("/instances/")
    row = page.locator("main tbody tr")
    expect(row).to_contain_text("web-new")
    expect(row).to_contain_text("4 vCPU")
    expect(row.locator("time[data-ends]")).to_be_visible()
    choose(CANCEL[language])
    dialog.get_by_role("button", name=ok).click()
    expect(page.locator("time[data-ends]")).to_have_count(0)
    assert Instance.objects.get().delete_at is None
