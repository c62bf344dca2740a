"""The pages in a real browser: the ways in, the overview, a webhook's page; and what axe finds in each."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from tests.browser.conftest import PRIYA, TOM, Person
from tests.integration.portal.conftest import Api

WEBHOOKS = "/organizations/org-contoso/webhooks"


async def test_an_admin_signs_in_looks_for_a_webhook_enables_and_deletes_it(person: Person, api: Api) -> None:
    await api.create(name="Tickets")
    await api.create(name="Chat", target_url="https://chat.example/")
    page = person.page
    await person.sign_in()
    await expect(page.get_by_role("link", name="Chat")).to_be_visible()
    await page.get_by_label("Search").fill("tick")
    await page.get_by_label("Search").press("Enter")
    await expect(page.get_by_role("link", name="Chat")).to_have_count(0)
    await page.get_by_role("link", name="Tickets").click()
    await page.get_by_role("button", name="Enable").click()
    await expect(page.get_by_role("status")).to_have_text("The webhook is enabled.")
    await page.get_by_role("link", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_contain_text("It can not be undone.")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.get_by_role("link", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("status")).to_have_text("The webhook is deleted.")
    await expect(page.get_by_role("link", name="Tickets")).to_have_count(0)


async def test_new_is_there_before_the_first_webhook_and_after_it(person: Person, api: Api) -> None:
    page = person.page
    await person.sign_in()
    new = page.get_by_role("link", name="New", exact=True)
    await expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()
    await expect(new).to_have_count(1)
    await api.create()
    await page.reload()
    await expect(page.get_by_role("link", name="Tickets")).to_be_visible()
    await new.click()
    await expect(page.get_by_role("heading", name="New webhook")).to_be_visible()


async def test_on_a_narrow_screen_the_chosen_filter_and_tab_are_seen(person: Person, api: Api) -> None:
    webhook = await api.create()
    page = person.page
    await page.set_viewport_size({"width": 400, "height": 900})
    await person.sign_in()
    await page.goto(f"{WEBHOOKS}/{webhook['id']}?tab=metrics&status=in_progress")
    for name in ("Attempts in progress", "Metrics"):
        box = await page.get_by_role("link", name=name, exact=True).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400


async def test_the_api_s_page_is_in_the_menu_and_has_the_person_s_theme(person: Person) -> None:
    page = person.page
    await page.context.add_cookies([{"name": "theme", "value": "dark", "url": person.url}])
    await person.sign_in()
    await page.get_by_label("Menu of Ada Moreau").click()
    await page.get_by_role("link", name="API reference").click()
    await expect(page.get_by_role("heading", name="Portal webhooks")).to_be_visible()
    await expect(page.locator("html")).to_have_class("dark-mode")


async def test_whoever_lacks_the_role_is_told_and_can_sign_out(person: Person) -> None:
    await person.sign_in(TOM)
    await expect(person.page.get_by_role("heading")).to_have_text("Only Organization Admins can configure webhooks")
    await person.page.get_by_role("main").get_by_role("button", name="Sign out").click()
    await expect(person.page.get_by_role("heading", name="Sign in to Portal")).to_be_visible()


async def test_a_provider_goes_from_one_organization_to_another(person: Person) -> None:
    await person.sign_in(PRIYA)
    await person.page.get_by_label("Organization: Contoso").click()
    await person.page.get_by_role("link", name="Northwind").click()
    await expect(person.page).to_have_url("/organizations/org-northwind/webhooks")
    await expect(person.page.get_by_role("heading", name="No webhooks yet")).to_be_visible()


async def test_language_and_theme_are_chosen_in_the_menu(person: Person) -> None:
    page = person.page
    await person.sign_in()
    await page.get_by_label("Menu of Ada Moreau").click()
    await page.get_by_role("button", name="Español").click()
    await expect(page.get_by_role("heading", name="Todavía no hay webhooks")).to_be_visible()
    await page.get_by_label("Menú de Ada Moreau").click()
    await page.get_by_role("button", name="Oscuro").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_times_are_in_the_person_s_zone_and_exact_on_hover(person: Person, api: Api) -> None:
    webhook = await api.create()
    await person.sign_in()
    await person.page.goto(f"{WEBHOOKS}/{webhook['id']}")
    time = person.page.locator("time").first
    await expect(time).to_have_attribute("data-localized", "")
    assert webhook["created_on"] in (await time.get_attribute("title") or "")
    assert "UTC" not in await time.inner_text()


async def test_what_others_wrote_stays_text(person: Person, api: Api) -> None:
    evil = "<img src=x onerror=alert(1)>\u202e"
    webhook = await api.create(name=evil, payload_template={evil: f"{evil}</pre><script>alert(2)</script>"})
    await person.sign_in()
    await expect(person.page.get_by_role("link", name="<img src=x onerror=alert(1)>[U+202E]")).to_be_visible()
    await person.page.goto(f"{WEBHOOKS}/{webhook['id']}?tab=overview")
    await expect(person.page.locator("main img, main script")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_and_nothing_overflows(person: Person, api: Api, theme: str) -> None:
    webhook = await api.create(name="N" * 200, target_url=f"https://target.example/{'x' * 300}")
    await api.create(items={"all": True}, payload_template={"text": "y" * 2_000})
    page = person.page
    await page.context.add_cookies([{"name": "theme", "value": theme, "url": person.url}])
    await page.goto("/sign-in")
    found = await problems(person, "sign-in")
    await person.sign_in(PRIYA)
    for path in (
        "",
        "?search=nothing",
        f"/{webhook['id']}",
        f"/{webhook['id']}?asks=delete",
        f"/{webhook['id']}?tab=audit",
        "/../audit",
    ):
        for width in (400, 1400):
            await page.set_viewport_size({"width": width, "height": 900})
            await page.goto(f"{WEBHOOKS}{path}")
            found += await problems(person, f"{path} at {width}")
    assert found == []


async def problems(person: Person, where: str) -> list[str]:
    """What axe finds, and whether the page is wider than its window."""
    results = (await Axe().run(person.page)).response["violations"]
    found = [f"{where}: {one['id']} {[node['target'] for node in one['nodes']]}" for one in results]
    if await person.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append(f"{where}: wider than the window")
    return found
