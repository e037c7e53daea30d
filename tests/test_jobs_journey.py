"""Batch jobs in a real browser: followed, left and come back to, with and without a script."""

import re

import pytest
from playwright.sync_api import expect

from recycle import actions
from recycle.actions import jobs
from recycle.lifecycle import Action, State
from recycle.models import BatchJob, Instance, JobState
from tests.browser import PHONE
from tests.conftest import acting
from tests.test_journeys import confirm, dialog, message

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_job_is_left_come_back_to_and_cancelled(page, make_instance, monkeypatch):
    monkeypatch.setattr(jobs, "CHUNK", 4)
    for number in range(12):
        make_instance(State.RECYCLED, name=f"web-{number:02}")
    page.goto("/recycle-bin/?size=10")
    page.get_by_label("Select this page").check()
    page.get_by_role("button", name="Select all 12 that match").click()
    page.get_by_role("button", name="Batch Restore").click()
    expect(dialog(page)).to_contain_text("This becomes a batch job")
    confirm(page)
    expect(page.get_by_text("0 of 12 ·")).to_be_visible()

    # Left, and found again by what every page shows.
    page.get_by_role("link", name="EBS Volume").click()
    actions.carry_out_jobs(context=acting(None), limit=1)
    page.get_by_role("link", name="1 batch job · 33%").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Batch Jobs")
    page.get_by_role("link", name="Restore 12 instances").click()
    expect(page.get_by_text("4 of 12 · 4 done ·")).to_be_visible()
    page.get_by_role("button", name="Cancel the job").click()

    expect(message(page)).to_contain_text("What was done stays.")
    expect(page.get_by_role("button", name="Cancel the job")).to_have_count(0)
    assert BatchJob.objects.get().state == JobState.CANCELLED
    assert Instance.objects.filter(state=State.STOPPED).count() == 4


def test_a_piece_that_is_asked_for_anew_does_not_move_the_focus_or_wipe_a_message(
    page, make_instance, monkeypatch
):
    monkeypatch.setattr(jobs, "CHUNK", 1)
    for number in range(12):
        make_instance(State.RECYCLED, name=f"web-{number:02}")
    page.goto("/recycle-bin/?size=10")
    page.get_by_label("Select this page").check()
    page.get_by_role("button", name="Select all 12 that match").click()
    page.get_by_role("button", name="Batch Restore").click()
    confirm(page)
    expect(message(page)).to_contain_text("This goes on as a batch job.")
    page.get_by_role("button", name="Cancel the job").focus()

    actions.carry_out_jobs(context=acting(None), limit=1)

    expect(page.get_by_text("1 of 12 ·")).to_be_visible()
    expect(message(page)).to_contain_text("This goes on as a batch job.")
    expect(page.get_by_role("button", name="Cancel the job")).to_be_focused()


def test_without_javascript_all_that_match_are_a_job_whose_page_comes_again(
    open_page, alice, make_instance, monkeypatch
):
    monkeypatch.setattr(jobs, "CHUNK", 5)
    for number in range(11):
        make_instance(State.RECYCLED, name=f"web-{number:02}")
    make_instance(State.RECYCLED, name="db")
    page = open_page(alice, java_script_enabled=False)
    page.goto("/recycle-bin/?q=web&size=10")

    page.get_by_label("All 11 that match").check()
    page.get_by_role("button", name="Batch Restore").click()
    expect(dialog(page).get_by_role("heading", level=2)).to_have_text("Restore 11 instances")
    confirm(page)
    expect(page.get_by_text("0 of 11 ·")).to_be_visible()
    actions.carry_out_jobs(context=acting(None), limit=1)
    expect(page.get_by_text("5 of 11 · 5 done ·")).to_be_visible()
    actions.carry_out_jobs(context=acting(None))

    expect(page.get_by_text("Restored 11 instances. They are stopped.")).to_be_visible()
    page.get_by_role("link", name="Show the instances").click()
    expect(page.get_by_text("11 items")).to_be_visible()
    assert Instance.objects.get(name="db").state == State.RECYCLED


def test_in_chinese_and_on_a_phone(open_page, alice, make_instance):
    for number in range(2):
        make_instance(State.RECYCLED if number else State.STOPPED, name=f"web-{number:02}")
    instances = Instance.objects.order_by("name")
    order = actions.JobOrder(
        account=alice.memberships.get().account, action=Action.RESTORE, parameters={}
    )
    job = actions.request_job(instances, order, context=acting(alice, reason="夜间")).batch
    page = open_page(alice, viewport=PHONE, locale="zh-CN")

    page.goto(f"/jobs/{job}/")
    expect(page.get_by_role("button", name="取消任务")).to_be_visible()
    actions.carry_out_jobs(context=acting(None))
    expect(page.get_by_text("2 / 2 · 成功 1 · 拒绝 1 · 失败 0")).to_be_visible()
    page.goto("/jobs/")

    expect(page.get_by_role("heading", level=1)).to_have_text("批量任务")
    expect(page.get_by_role("link", name=re.compile("恢复"))).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
