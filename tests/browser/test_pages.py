"""The pages in a real browser: the ways in, the overview, a webhook's page; and what axe finds in each."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.async_api import expect
from standardwebhooks import Webhook as Verifier

from dispatcher.settings import Settings
from tests.support.browsing import LOOKS, NARROW, PRIYA, TOM, WEBHOOKS, WIDE, ZONE, Person, looking, problems
from tests.support.portal import Api, a_token
from tests.support.target import Target


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
    await page.wait_for_load_state()
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


async def test_on_a_narrow_screen_too_webhooks_are_sorted(person: Person, api: Api) -> None:
    await api.create()
    await person.page.set_viewport_size({"width": 400, "height": 900})
    await person.sign_in()
    await person.page.get_by_role("link", name="Event Type").click()
    await expect(person.page).to_have_url(re.compile("sort=event_type"))


async def test_who_is_signed_in_tries_the_api_on_its_page(person: Person, api: Api) -> None:
    webhook = await api.create()
    page = person.page
    await person.sign_in()
    await page.goto("/api/docs")
    operation = page.locator("#operations-Webhooks-enable_webhook")
    await operation.get_by_role("button").first.click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_placeholder("organization_id").fill("org-contoso")
    await operation.get_by_placeholder("webhook_id").fill(webhook["id"])
    await operation.get_by_role("button", name="Execute").click()
    await expect(operation.locator(".live-responses-table tbody .response-col_status")).to_have_text("200")
    assert (await api("GET", f"/webhooks/{webhook['id']}")).body["status"] == "enabled"


async def test_the_api_s_page_is_in_the_menu_and_has_the_person_s_theme(person: Person) -> None:
    page = person.page
    await page.context.add_cookies([{"name": "theme", "value": "dark", "url": person.url}])
    await person.sign_in()
    await page.get_by_label("Menu of Ada Moreau").click()
    await page.get_by_role("link", name="API reference").click()
    await expect(page.get_by_role("heading", name="Portal webhooks")).to_be_visible()
    await expect(page.locator("html")).to_have_class("dark-mode")
    await page.get_by_role("link", name="Portal Webhooks").click()
    await expect(page.get_by_role("heading", name="Webhook Integrations")).to_be_visible()


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

    # From wherever somebody is, the way home leads to the organization where they are.
    for name in ("Portal Webhooks", "Go to your webhooks"):
        await person.page.goto("/organizations/org-northwind/webhooks/wh_none")
        await person.page.get_by_role("link", name=name).click()
        await expect(person.page).to_have_url("/organizations/org-northwind/webhooks")


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
    page = person.page
    created = datetime.fromisoformat(webhook["created_on"])
    await person.sign_in()
    # Of what happened one soon after the other, the seconds tell which came first.
    for path, around, clock in (("", "Created on", "%-I:%M %p"), ("?tab=audit", "Created", "%-I:%M:%S %p")):
        await page.goto(f"{WEBHOOKS}/{webhook['id']}{path}")
        time = page.locator(".card.figure, tbody tr").filter(has_text=around).locator("time")
        moment = await time.get_attribute("datetime") or ""
        at = datetime.fromisoformat(moment).astimezone(ZONE)
        assert abs(at - created) < timedelta(minutes=1)
        day = f"{at:%b} {at.day}, {at.year}"
        await expect(time).to_have_text(f"{day}, {at:{clock}}")
        exact = f"{day}, {at:%I:%M:%S}.{at.microsecond // 1000:03} {at:%p} Afghanistan Time {moment}"
        assert " ".join((await time.get_attribute("title") or "").split()) == exact


async def test_a_new_secret_is_shown_once_and_the_old_one_signs_too(person: Person, api: Api, target: Target) -> None:
    webhook = await api.create(target_url=target.url("hook"))
    page = person.page
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await person.sign_in()
    await page.goto(f"{WEBHOOKS}/{webhook['id']}")
    card = page.locator("#secret")
    rotate = card.get_by_role("link", name="Rotate")
    dialog = page.get_by_role("dialog", name="Rotate the signing secret?")
    await expect(page.locator("body")).not_to_contain_text("whsec_", use_inner_text=True)
    await rotate.click()
    await expect(dialog).to_contain_text("For 24 hours, messages are signed with the old one too")
    await dialog.get_by_role("link", name="Cancel").click()
    await expect(rotate).to_be_focused()
    await rotate.click()
    await dialog.get_by_role("button", name="Rotate").click()
    await expect(card).to_contain_text("Copy the signing secret now")
    new = await card.locator(".copyable code").inner_text()
    assert new.startswith("whsec_")
    assert new != webhook["secret"]
    await card.get_by_role("button", name="Copy").click()
    await expect(card.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == new
    await page.reload()
    await expect(card).to_be_visible()
    await expect(page.locator("body")).not_to_contain_text("whsec_", use_inner_text=True)

    # Whoever knows either of the two can tell that a message is ours.
    await page.get_by_role("main").get_by_role("button", name="Test").click()
    await expect(page.locator("#test")).to_contain_text("Successful")
    [sent] = target.at("hook")
    for secret in (new, webhook["secret"]):
        assert Verifier(secret).verify(sent.body, dict(sent.headers)) == webhook["payload_template"]


async def test_what_is_chosen_is_in_the_address_and_can_be_shared(person: Person, api: Api) -> None:
    for name, host, type in (
        ("Chat", "b", "active_alert"),
        ("Tickets", "c", "active_alert"),
        ("Ads", "a", "object_created"),
    ):
        webhook = await api.create(
            name=name, target_url=f"https://{host}.example/", event_type=type, items={"all": True}
        )
    page = person.page
    names = page.locator("tbody .row-link")
    by_url = page.get_by_role("columnheader", name="Target URL")
    await person.sign_in()
    await expect(names).to_have_text(["Ads", "Chat", "Tickets"])
    await by_url.get_by_role("link").click()
    await expect(names).to_have_text(["Ads", "Chat", "Tickets"])
    await by_url.get_by_role("link").click()
    await expect(names).to_have_text(["Tickets", "Chat", "Ads"])
    await expect(by_url).to_have_attribute("aria-sort", "descending")
    # What is chosen applies at once, and the order stays.
    await page.wait_for_load_state()
    await page.get_by_label("Event Type").select_option(label="Active alert")
    await expect(names).to_have_text(["Tickets", "Chat"])
    await page.wait_for_load_state()
    await page.get_by_label("Status").select_option(label="Disabled")
    await expect(page).to_have_url(re.compile("status=disabled"))
    await expect(names).to_have_text(["Tickets", "Chat"])
    shared = page.url
    await page.get_by_role("link", name="Clear").click()
    await expect(names).to_have_text(["Ads", "Chat", "Tickets"])
    await page.goto(shared)
    await expect(names).to_have_text(["Tickets", "Chat"])
    await expect(by_url).to_have_attribute("aria-sort", "descending")
    await expect(page.get_by_label("Event Type")).to_have_value("active_alert")
    await expect(page.get_by_label("Status")).to_have_value("disabled")
    await page.go_back()
    await expect(names).to_have_text(["Ads", "Chat", "Tickets"])

    # So it is with the range of the plots and the filter of the attempts.
    await page.goto(f"{WEBHOOKS}/{webhook['id']}?tab=metrics")
    await page.get_by_role("button", name="7 days").click()
    await expect(page).to_have_url(re.compile("range=7d"))
    await page.get_by_role("link", name="Failed attempts").click()
    await expect(page).to_have_url(re.compile("status=failed"))
    await expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    await expect(page.get_by_role("link", name="Failed attempts")).to_have_attribute("aria-current", "true")
    await expect(page.get_by_text("Times are those of Asia/Kabul.").first).to_be_visible()


async def test_keys_go_through_the_filters_and_enter_or_leaving_applies_them(person: Person, api: Api) -> None:
    await api.create(name="Tickets")
    await api.create(name="Ads", event_type="object_created", items={"all": True})
    page = person.page
    names, type, status = page.locator("tbody .row-link"), page.get_by_label("Event Type"), page.get_by_label("Status")
    await person.sign_in()
    await type.focus()
    for _ in range(3):
        await page.keyboard.press("ArrowDown")
    await expect(type).to_have_value("object_created")
    await expect(page).to_have_url(WEBHOOKS)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(r"event_type=object_created"))
    await expect(names).to_have_text(["Ads"])
    await expect(type).to_be_focused()

    # An open list is another thing: what is chosen there was chosen.
    for key in ("Space", "Home", "Enter"):
        await page.keyboard.press(key)
    await expect(names).to_have_text(["Ads", "Tickets"])
    await expect(type).to_be_focused()

    await page.keyboard.press("Tab")
    await expect(status).to_be_focused()
    for key in ("ArrowDown", "ArrowDown"):
        await page.keyboard.press(key)
    before = page.url
    await page.keyboard.press("Shift+Tab")
    await expect(page).to_have_url(re.compile("status=disabled"))
    assert page.url != before
    await expect(type).to_be_focused()

    # The way back shows what was chosen there.
    await page.go_back()
    await expect(status).to_have_value("")
    await expect(type).to_have_value("")


async def test_a_choice_applies_after_a_key_has_left_the_filters(person: Person, api: Api) -> None:
    await api.create(name="Tickets")
    await person.sign_in()
    page = person.page
    await page.get_by_label("Status").focus()
    await page.keyboard.press("Tab")
    await page.get_by_label("Event Type").select_option("object_created")
    await expect(page).to_have_url(re.compile(r"event_type=object_created"))


async def test_what_is_typed_applies_when_somebody_clicks_beside_it(person: Person, api: Api) -> None:
    await api.create(name="Tickets")
    await api.create(name="Chat", target_url="https://chat.example/")
    page = person.page
    names, search = page.locator("tbody .row-link"), page.get_by_label("Search")
    await person.sign_in()
    await search.click()
    await page.keyboard.type("tick")
    await page.get_by_role("heading", name="Webhook Integrations").click()
    await expect(names).to_have_text(["Tickets"])
    # Whoever applies it by Enter goes on typing where they were.
    await page.wait_for_load_state()
    await search.press("End")
    await page.keyboard.type("e")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("search=ticke"))
    await expect(search).to_be_focused()
    await page.keyboard.type("ts")
    await expect(search).to_have_value("tickets")
    # Whoever clicks on a webhook gets that one.
    await names.first.click()
    await expect(page.get_by_role("heading", name="Tickets", level=1)).to_be_visible()


@pytest.mark.parametrize("count", [12, 13])
async def test_a_list_of_resources_that_scrolls_is_reached_by_keys(person: Person, api: Api, count: int) -> None:
    webhook = (await api.create(items={"ids": [f"{number} {'long ' * 30}" for number in range(count)]}))["id"]
    await person.sign_in()
    for size in (NARROW, WIDE):
        await person.page.set_viewport_size(size)
        await person.page.goto(f"{WEBHOOKS}/{webhook}")
        resources = person.page.get_by_role("list", name="Selected Resources")
        await expect(resources.get_by_role("listitem")).to_have_count(count)
        scrolls = await resources.evaluate("(list) => list.scrollHeight > list.clientHeight")
        assert scrolls == (await resources.get_attribute("tabindex") == "0") == (count > 12)
        assert await problems(person, f"{count} resources at {size['width']}") == []


async def test_organizations_and_resources_are_found_as_the_server_finds_them(
    person: Person, api: Api, settings: Settings
) -> None:
    webhook = (await api.create(items={"ids": ["Ámbito 1", "STRASSE ΟΔΟΣ", *map(str, range(11))]}))["id"]
    names = ["Contoso", "Peñón", "Zoë", *(f"Other {number}" for number in range(6))]
    organizations = {f"org-{name.split()[-1].lower()}": {"name": name, "role": "organization_admin"} for name in names}
    page = person.page
    await page.goto("/sign-in")
    await page.get_by_role("heading", name="Sign in with a token").click()
    await page.get_by_label("Bearer token").fill(a_token(settings, organizations=organizations))
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.goto(f"{WEBHOOKS}/{webhook}")
    menu = page.get_by_label("Organization: Contoso")
    await menu.click()
    search = page.get_by_role("searchbox", name="Search organizations")
    found = page.locator("#organizations li:visible")
    for wanted, name in (("penon", "Peñón"), ("ZOE", "Zoë"), ("zoë", "Zoë")):
        await search.fill(wanted)
        await expect(found).to_have_text([name])
    nothing = page.get_by_role("status")
    await expect(nothing.filter(has_text="matches")).to_have_count(0)
    await search.fill("none")
    await expect(nothing.filter(has_text="No organization matches.")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")

    search, found = page.get_by_role("searchbox", name="Search resources"), page.locator("#resource-list li:visible")
    for wanted, name in (("ambito", "Ámbito 1"), ("straße", "STRASSE ΟΔΟΣ"), ("οδος", "STRASSE ΟΔΟΣ")):
        await search.fill(wanted)
        await expect(found).to_have_text([name])
    await search.fill("none")
    await expect(nothing.filter(has_text="No resource matches.")).to_be_visible()
    await search.fill("")
    await expect(found).to_have_count(13)
    await expect(nothing.filter(has_text="matches")).to_have_count(0)

    await looking(person, "system", "es")
    await page.reload()
    await page.get_by_role("searchbox", name="Buscar recursos").fill("none")
    await expect(nothing.filter(has_text="Ningún recurso coincide.")).to_be_visible()


async def test_what_others_wrote_stays_text(person: Person, api: Api) -> None:
    evil = "<img src=x onerror=alert(1)>\u202e"
    webhook = await api.create(name=evil, payload_template={evil: f"{evil}</pre><script>alert(2)</script>"})
    await person.sign_in()
    await expect(person.page.get_by_role("link", name="<img src=x onerror=alert(1)>[U+202E]")).to_be_visible()
    await person.page.goto(f"{WEBHOOKS}/{webhook['id']}?tab=overview")
    await expect(person.page.locator("main img, main script")).to_have_count(0)


@pytest.mark.parametrize(("theme", "language"), LOOKS)
async def test_axe_finds_nothing_and_nothing_overflows(
    person: Person, api: Api, target: Target, theme: str, language: str
) -> None:
    webhook = (await api.create(name="N" * 200, target_url=target.url("x" * 300)))["id"]
    await api.create(items={"all": True}, payload_template={"text": "y" * 2_000})
    page = person.page
    await looking(person, theme, language)
    await page.goto("/sign-in")
    found = await problems(person, "sign-in")
    await page.set_viewport_size(NARROW)
    await page.goto("/nowhere")
    found += await problems(person, "nothing there, nobody signed in")
    await person.sign_in(TOM)
    found += await problems(person, "without the role")
    await page.goto(WEBHOOKS)
    found += await problems(person, "without the role here")
    await page.get_by_role("main").get_by_role("button").click()
    await person.sign_in(PRIYA)
    of_webhook = (f"/{webhook}", f"/{webhook}?asks=delete", f"/{webhook}?tab=audit")
    for path in ("", "?search=nothing", "/../audit", *of_webhook):
        for size in (NARROW, WIDE) if language == "en" else (NARROW,):
            await page.set_viewport_size(size)
            await page.goto(f"{WEBHOOKS}{path}")
            found += await problems(person, f"{path} at {size['width']}")
    await page.set_viewport_size(NARROW)
    for path in (
        f"{WEBHOOKS}/{webhook}?asks=rotate",
        f"{WEBHOOKS}/{webhook}?tab=metrics&asks=recover",
        f"{WEBHOOKS}/{webhook}?tab=metrics&asks=recover&since=never&until=never",
        f"{WEBHOOKS}/wh_none",
        f"{WEBHOOKS}?sort=nonsense",
        "/organizations/org-nobody/webhooks",
    ):
        await page.goto(path)
        found += await problems(person, path)
    await page.goto(f"{WEBHOOKS}/{webhook}")
    await page.locator('form[action$="/test"] button').click()
    await expect(page.locator("#test")).to_be_visible()
    found += await problems(person, "a test's result")
    await page.goto("/api/docs")
    await expect(page.get_by_role("heading", name="Portal webhooks")).to_be_visible()
    found += await problems(person, "the API", but={"heading-order", "region"})
    assert found == []
