"""Creating and editing a webhook in a real browser."""

import json

import pytest
from playwright.async_api import Browser, Dialog, Page, expect

from dispatcher.events.examples import example_templates
from dispatcher.events.types import EventType
from dispatcher.portal.app import Portal
from dispatcher.portal.pages.islands import texts
from tests.support.browsing import ADA, LOOKS, NARROW, PRIYA, WEBHOOKS, WIDE, Person, fill, looking, open_form, problems
from tests.support.portal import Api
from tests.support.waiting import eventually

# What the editor says but for its text: titles, names, what is told and what its panels hold without buttons.
SAID = """(editor) => [
    ...[...editor.querySelectorAll(".je-view [title]")].map((one) => one.title),
    ...[...editor.querySelectorAll(".je-view [aria-label]")].map((one) => one.getAttribute("aria-label")),
    ...[...editor.querySelectorAll(".cm-announced, .cm-diagnosticAction")].map((one) => one.textContent.trim()),
    ...[...editor.querySelectorAll(".cm-panel-lint .cm-diagnosticText")].map((one) => one.textContent),
].filter((text) => text !== "")"""


async def write_template(page: Page, text: str) -> None:
    editor = page.locator("json-editor .cm-content")
    await editor.click()
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.press("Delete")
    await page.keyboard.insert_text(text)


@pytest.mark.parametrize("width", [400, 1400])
async def test_line_numbers_are_beside_their_lines_before_the_editor_is_seen(person: Person, width: int) -> None:
    page = person.page
    await page.set_viewport_size({"width": width, "height": 500})
    await person.sign_in()
    await open_form(page)
    await expect(page.locator(".cm-editor")).not_to_be_in_viewport()
    tops = """
        () => [".cm-lineNumbers .cm-gutterElement", ".cm-line"].map((which) => [...document.querySelectorAll(which)]
            .filter((one) => one.offsetHeight > 0 && one.style.visibility !== "hidden")
            .map((one) => Math.round(one.getBoundingClientRect().top)))"""

    async def beside() -> bool:
        numbers, lines = await page.evaluate(tops)
        assert len(lines) > 10
        assert numbers == lines
        return True

    # The editor measures a moment after it is there.
    await eventually(beside)


async def test_a_webhook_is_created_from_the_slack_template(person: Person, api: Api) -> None:
    page = person.page
    await person.sign_in()
    await open_form(page)
    await fill(page, "To Slack")
    await page.get_by_label("Event Type").select_option("executed_microservice")
    await expect(page.get_by_label("Send webhook for all microservices")).to_be_visible()
    await page.get_by_label("Send webhook for all microservices").check()
    await page.get_by_role("button", name="Slack").click()
    await expect(page.locator("template-preview")).to_contain_text("*Resultado:*\\nCompleted")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The webhook is created. It is disabled")).to_be_visible()
    await expect(page.get_by_text("Copy the signing secret now")).to_be_visible()
    await expect(page.locator("#secret code").first).to_contain_text("whsec_")
    [webhook] = (await api("GET", "/webhooks")).body["items"]
    assert (webhook["status"], webhook["items"]) == ("disabled", {"all": True})
    assert webhook["payload_template"] == example_templates(EventType.EXECUTED_MICROSERVICE)["Slack"]

    # Once more with the same configuration: refused, with the way to the other, and nothing is lost.
    await page.get_by_role("link", name="Webhook Integrations").click()
    await open_form(page)
    await fill(page, "To Slack again")
    await page.get_by_label("Event Type").select_option("executed_microservice")
    await page.get_by_label("Send webhook for all microservices").check()
    await page.get_by_role("button", name="Slack").click()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Another webhook has the same configuration")).to_be_visible()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("To Slack again")
    async with page.context.expect_page() as other:
        await page.get_by_role("alert").get_by_role("link", name="To Slack").click()
    await expect((await other.value).get_by_role("heading", level=1)).to_have_text("To Slack")


async def test_what_is_no_json_is_marked_at_its_line_and_kept(person: Person) -> None:
    page = person.page
    wrong = '{\n  "text": "#alert_name"\n  "n": 1\n}'
    await person.sign_in()
    await open_form(page)
    await fill(page, "Tickets")
    await page.get_by_label("Send webhook for all alerts").check()
    await write_template(page, wrong)
    await expect(page.locator(".je-message")).to_contain_text("Line 3, column 3")
    await expect(page.locator(".cm-lintRange-error")).to_contain_text('"')
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("#payload_template-error")).to_contain_text("Line 3, column 3")
    await expect(page.locator("#problem")).to_be_focused()
    await expect(page.locator("#payload_template")).to_have_value(wrong)
    await page.wait_for_load_state()
    await write_template(page, '{"text": ""}')
    await expect(page.locator("#payload_template-error")).to_have_count(0)
    await page.keyboard.press("ControlOrMeta+End")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    await page.get_by_role("button", name="#alert_name").click()
    await expect(page.locator("#payload_template")).to_have_value('{"text": "#alert_name"}')
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The webhook is created")).to_be_visible()


@pytest.mark.parametrize("width", [400, 1400])
async def test_what_is_wrong_is_seen_above_the_bar_with_save(person: Person, width: int) -> None:
    page = person.page
    await page.set_viewport_size({"width": width, "height": 900})
    await person.sign_in()
    await open_form(page)
    lines = ",\n".join(f'"member_{number}": {number}' for number in range(200))
    await write_template(page, f"{{{lines},\n")
    message = page.locator(".je-message")
    await expect(message).to_have_attribute("data-kind", "bad")
    seen = """(message) => {
        const editor = document.querySelector(".je-view"), found = [];
        const top = editor.getBoundingClientRect().top + scrollY, height = editor.offsetHeight;
        // From where half of the window is the editor to where its end is far above the bar.
        for (let y = top - innerHeight / 2; y < top + height - 200; y += 40) {
            scrollTo({ top: y, behavior: "instant" });
            const box = message.getBoundingClientRect();
            const at = document.elementFromPoint(box.left + 30, box.top + box.height / 2);
            found.push(message.contains(at) && box.bottom <= innerHeight);
        }
        return found;
    }"""
    found = await message.evaluate(seen)
    assert len(found) > 10
    assert all(found)
    # The cursor is not under the bars either: neither where somebody writes, nor where they go.
    await write_template(page, '{"text": [\n' + "1,\n" * 20 + "2]}")
    await expect(message).to_have_attribute("data-kind", "good")
    await page.keyboard.type("x")
    await expect(message).to_have_attribute("data-kind", "bad")
    cursor_above_bar = """() => document.querySelector(".cm-cursor-primary").getBoundingClientRect().bottom
        <= document.querySelector(".je-bar").getBoundingClientRect().top + 1"""
    await page.wait_for_function(cursor_above_bar)
    await write_template(page, f"{{{lines},\n")
    await page.locator(".cm-content").press("ControlOrMeta+Home")
    for _ in range(60):
        await page.keyboard.press("ArrowDown")
        await page.wait_for_function(cursor_above_bar)


async def test_another_event_type_brings_its_own_variables_and_example_unless_one_was_written(person: Person) -> None:
    page = person.page
    await person.sign_in()
    await open_form(page)
    area = page.locator("#payload_template")
    assert json.loads(await area.input_value()) == example_templates(EventType.ACTIVE_ALERT)["Portal"]
    await page.get_by_label("Event Type").select_option("operation_executed_in_workspace")
    await expect(page.get_by_label("Send webhooks for all operations executed in each workspace")).to_be_visible()
    await expect(page.get_by_role("button", name="#workspace_operation_result")).to_be_visible()
    assert (
        json.loads(await area.input_value()) == example_templates(EventType.OPERATION_EXECUTED_IN_WORKSPACE)["Portal"]
    )
    await write_template(page, '{"mine": "#status"}')
    await page.get_by_label("Event Type").select_option("operation_executed")
    await expect(page.get_by_role("button", name="#total_errors")).to_be_visible()
    note = page.get_by_role("note")
    for sentence in (
        "Operations can be executed on one or more devices.",
        "Operation executed sends one webhook for the operation as a whole.",
        "Operation executed in a workspace sends a webhook for each of the devices",
        "Restart is executed on three devices at once. That makes one webhook notification of type Operation executed,",
        "and three of type Operation executed in a workspace.",
    ):
        await expect(note).to_contain_text(sentence)
    await expect(area).to_have_value('{"mine": "#status"}')
    await expect(page.locator("template-preview")).to_contain_text("Completed with errors")


async def test_leaving_asks_when_something_was_typed(person: Person) -> None:
    page = person.page
    asked: list[str] = []

    async def stay(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", stay)
    await person.sign_in()
    await open_form(page)
    await fill(page, "Half done")
    await page.get_by_role("link", name="Cancel").click()
    await eventually(lambda: len(asked) == 1)
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Half done")
    await page.get_by_label("Menu of Ada Moreau").click()
    await page.get_by_role("button", name="Dark").click()
    await eventually(lambda: len(asked) == 2)
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Half done")


async def test_more_than_can_be_sent_stays_in_the_form_and_says_why(person: Person, api: Api) -> None:
    page = person.page
    await person.sign_in()
    await open_form(page)
    await fill(page, "Much")
    save = page.get_by_role("button", name="Save")
    header = page.get_by_label("Value of the header").first
    await page.get_by_label("Send webhook for all alerts").check()
    await page.get_by_role("heading", name="Headers and rate limit").click()
    # Each brace takes three characters on its way.
    await header.evaluate("(input) => { input.value = '{'.repeat(1_500_000); }")
    await save.click()
    await expect(page.get_by_role("alert")).to_contain_text("larger than 4 MiB, which is too much to be sent")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Much")
    await header.fill("")
    await save.click()
    await expect(page.get_by_text("The webhook is created. It is disabled")).to_be_visible()
    assert [one["name"] for one in (await api("GET", "/webhooks")).body["items"]] == ["Much"]


async def test_what_was_typed_is_there_again_after_the_session_ended(person: Person, api: Api) -> None:
    page = person.page
    await person.sign_in()
    await open_form(page)
    await fill(page, "Kept")
    await page.get_by_label("Send webhook for all alerts").check()
    await write_template(page, '{"kept":\n "#alert_name"}')
    await page.get_by_text("Headers and rate limit").click()
    await page.get_by_label("Name of the header").fill("X-Team")
    await page.get_by_label("Value of the header").fill("desk")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Your session has ended")).to_be_visible()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await page.locator(f'button[value="{ADA}"]').click()
    await expect(page.get_by_text("What you typed is here again")).to_be_visible()
    await expect(page.locator("#problem")).to_be_focused()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Kept")
    await expect(page.get_by_label("Send webhook for all alerts")).to_be_checked()
    await expect(page.get_by_label("Value of the header").first).to_have_value("desk")
    await expect(page.locator("#payload_template")).to_have_value('{"kept":\n "#alert_name"}')
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The webhook is created.")).to_be_visible()
    [webhook] = (await api("GET", "/webhooks")).body["items"]
    assert (webhook["name"], [*webhook["headers"]]) == ("Kept", ["X-Team"])
    await page.wait_for_function("sessionStorage.length === 0")


async def test_what_was_typed_is_there_again_after_signing_in_in_another_tab(person: Person, api: Api) -> None:
    page = person.page
    await person.sign_in()
    await open_form(page)
    await fill(page, "Kept")
    await page.context.clear_cookies()
    other = await page.context.new_page()
    await other.goto(f"{page.url.split('/organizations')[0]}/sign-in")
    await other.locator(f'button[value="{ADA}"]').click()
    await expect(other.get_by_role("heading", name="Webhook Integrations")).to_be_visible()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="Open the form again").click()
    await expect(page.get_by_text("What you typed is here again")).to_be_visible()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Kept")
    await page.get_by_label("Send webhook for all alerts").check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The webhook is created.")).to_be_visible()
    assert [one["name"] for one in (await api("GET", "/webhooks")).body["items"]] == ["Kept"]


async def test_what_was_typed_is_shown_to_nobody_else(person: Person) -> None:
    page = person.page
    await person.sign_in()
    await open_form(page)
    await fill(page, "Of Ada")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("main").get_by_role("link", name="Sign in").click()
    await page.locator(f'button[value="{PRIYA}"]').click()
    await expect(page.locator("json-editor[data-ready]")).to_be_visible()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("")
    await page.wait_for_function("sessionStorage.length === 0")


async def test_of_two_admins_the_slower_is_told_what_the_other_changed(
    person: Person, api: Api, browser: Browser, portal: Portal
) -> None:
    webhook = await api.create(name="Tickets")
    await api("GET", f"/webhooks/{webhook['id']}/audit")
    context = await browser.new_context(base_url=portal.url, locale="en-US")
    ada, priya = person, Person(await context.new_page(), portal.url, [])
    for one, who in ((ada, "demo-ada"), (priya, "demo-priya")):
        await one.sign_in(who)
        await one.page.goto(f"/organizations/org-contoso/webhooks/{webhook['id']}/edit")
        await expect(one.page.locator("json-editor[data-ready]")).to_be_visible()
    await priya.page.get_by_label("Target URL").fill("https://other.example/")
    await priya.page.get_by_role("button", name="Save").click()
    await expect(priya.page.get_by_text("The webhook is saved.")).to_be_visible()
    page = ada.page
    await page.get_by_label("Name", exact=True).fill("Tickets of Ada")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Priya Raman changed this webhook meanwhile")).to_be_visible()
    await expect(page.get_by_text("Priya Raman: changed Target URL")).to_be_visible()
    await expect(page.get_by_text("Now it is: https://other.example/")).to_be_visible()
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Tickets of Ada")
    await page.get_by_role("link", name="Load it as it is now").click()
    await expect(page.get_by_label("Target URL")).to_have_value("https://other.example/")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Tickets")
    await page.get_by_label("Name", exact=True).fill("Tickets of Ada")
    await page.get_by_role("button", name="Save", exact=True).click()

    async def saved() -> bool:
        now = (await api("GET", f"/webhooks/{webhook['id']}")).body
        return (now["name"], now["target_url"]) == ("Tickets of Ada", "https://other.example/")

    await eventually(saved)
    await context.close()


async def test_items_are_found_among_many_and_headers_come_and_go_by_the_keyboard(person: Person, api: Api) -> None:
    webhook = await api.create(headers={"X-Key": "hush"})
    page = person.page
    await person.sign_in()
    await page.goto(f"/organizations/org-contoso/webhooks/{webhook['id']}/edit")
    await expect(page.locator("resource-picker[data-ready]")).to_be_visible()
    # Neither is among the organization's alerts any more; both stay until somebody removes them.
    await page.get_by_role("button", name="Remove alert-1").press("Enter")
    await page.get_by_role("button", name="Add a header").press("Enter")
    await page.keyboard.type("X-Team")
    await page.keyboard.press("Tab")
    await page.keyboard.type("desk")
    await page.get_by_label("Name", exact=True).press("Enter")
    await expect(page.get_by_text("The webhook is saved.")).to_be_visible()
    now = (await api("GET", f"/webhooks/{webhook['id']}")).body
    assert (now["items"], sorted(now["headers"])) == ({"ids": ["alert-2"]}, ["X-Key", "X-Team"])


async def test_what_others_wrote_stays_text_and_is_saved_as_it_was(person: Person, api: Api) -> None:
    evil = "</textarea></script><img src=x onerror=alert(1)>\u202egnp.exe\x00\u200b"
    name = "<img src=x onerror=alert(1)>\u202egnp.exe\u200b"
    webhook = await api.create(
        name=name,
        target_url="https://target.example/'\"><script>alert(2)</script>",
        items={"ids": [evil]},
        payload_template={evil: f"{evil} #alert_name", "</script>": ["\x1b[31m", evil, "half \ud800"]},
        headers={"X-Key": "'\"><script>alert(3)</script>"},
    )
    page = person.page
    await person.sign_in()
    await page.goto(f"/organizations/org-contoso/webhooks/{webhook['id']}/edit")
    await expect(page.locator("json-editor[data-ready]")).to_be_visible()
    await expect(page.locator("resource-picker[data-ready]")).to_be_visible()
    await expect(page.locator("template-preview")).to_contain_text("[U+202E]gnp.exe")
    await expect(page.locator("resource-picker")).to_contain_text("[U+202E]gnp.exe")
    await expect(page.locator(".breadcrumbs")).to_contain_text("<img src=x onerror=alert(1)>[U+202E]gnp.exe[U+200B]")
    assert "\u202e" not in await page.title()
    await expect(page.locator(".cm-content")).not_to_contain_text("\u202e")
    # Beside a widget, the editor has an image without a picture.
    ours = "img:not(.cm-widgetBuffer), script:not([type='application/json'])"
    await expect(page.locator("main").locator(ours)).to_have_count(0)
    assert await problems(person, "edit") == []
    # Whoever changes something else leaves it all as it was.
    await page.get_by_label("Rate limit, in attempts a second").fill("5")
    await page.locator(".save-bar").get_by_role("button", name="Save").click()
    await expect(page.get_by_text("The webhook is saved.")).to_be_visible()
    now = (await api("GET", f"/webhooks/{webhook['id']}")).body
    assert now["rate_limit"] == 5
    for member in ("name", "target_url", "items", "payload_template"):
        assert now[member] == webhook[member], member


@pytest.mark.parametrize(("theme", "language"), LOOKS)
async def test_axe_finds_nothing_and_nothing_overflows(person: Person, api: Api, theme: str, language: str) -> None:
    webhook = await api.create(name="N" * 200, headers={"X-Key": "hush"}, payload_template={"text": "y" * 2_000})
    page = person.page
    await looking(person, theme, language)
    await person.sign_in()
    found: list[str] = []
    for path in ("new", f"{webhook['id']}/edit"):
        for size in (NARROW, WIDE):
            await page.set_viewport_size(size)
            await page.goto(f"/organizations/org-contoso/webhooks/{path}")
            await expect(page.locator("json-editor[data-ready]")).to_be_visible()
            found += await problems(person, f"{path} at {size['width']}")
            await page.locator("#target_url").fill("nonsense")
            await write_template(page, '{"text": tru')
            await expect(page.locator("template-preview[data-stale]")).to_be_visible()
            found += await problems(person, f"{path} with the preview of before at {size['width']}")
            await page.locator(".save-bar").get_by_role("button").click()
            await expect(page.locator("#problem")).to_be_focused()
            await expect(page.locator("json-editor[data-ready]")).to_be_visible()
            found += await problems(person, f"{path} with errors at {size['width']}")
    assert found == []


async def test_the_editor_itself_says_nothing_in_english_on_a_spanish_page(person: Person) -> None:
    page = person.page
    said: set[str] = set()

    async def listen() -> None:
        said.update(await page.locator("json-editor").evaluate(SAID))

    await looking(person, "system", "es")
    await person.sign_in()
    await page.goto(f"{WEBHOOKS}/new")
    await expect(page.locator("json-editor[data-ready]")).to_be_visible()
    await write_template(page, '{\n"a": "\u202e",\n"b": "#alert_nam"\n}')
    await expect(page.locator(".cm-lintRange-info")).to_have_count(1)
    await page.locator(".cm-lintRange-info").hover()
    await expect(page.get_by_role("button", name="Usar #alert_name", exact=True)).to_be_visible()
    await listen()
    # The panel of what is wrong, with something in it, and with nothing.
    content = page.locator(".cm-content")
    await content.press("ControlOrMeta+Shift+KeyM")
    await expect(page.locator(".cm-panel-lint").get_by_role("option")).to_contain_text("#alert_nam no es una variable")
    await listen()
    await write_template(page, '{\n"a": "#alert_name"\n}')
    await expect(page.get_by_role("listbox", name="Errores y avisos")).to_have_text("No hay errores ni avisos")
    await listen()
    for key in ("ArrowUp", "End", "ArrowLeft", "ControlOrMeta+Space"):
        await content.press(key)
    await expect(page.get_by_role("listbox", name="Variables")).to_be_visible()
    await listen()
    for key in ("Escape", "ControlOrMeta+Home", "ControlOrMeta+Shift+BracketLeft", "ControlOrMeta+a", "Delete"):
        await content.press(key)
        await listen()
    await write_template(page, '{\n"a": 1\n}')
    await page.get_by_title("Plegar la línea", exact=True).locator("visible=true").click()
    await expect(page.get_by_title("desplegar", exact=True)).to_be_visible()
    await listen()

    unknown = "#alert_nam no es una variable de este tipo de evento. Se envía tal cual."
    others = {unknown, "Usar #alert_name", "Líneas plegadas: 1 a 3.", "Carácter que no se ve U+202E"}
    # Said of the empty editor, if it is looked at just then.
    assert said - {"Escriba un objeto JSON, como el del ejemplo."} == others | {
        texts("es")["json-editor"][key]
        for key in (
            *("fold-line", "unfold-line", "folded", "unfold", "selection-deleted"),
            *("completions", "diagnostics", "no-diagnostics", "close"),
        )
    }


async def test_what_is_typed_over_a_selection_stands_in_its_place(person: Person) -> None:
    """That nothing is refused by the page's policy meanwhile is what the fixture ``person`` asserts."""
    page = person.page
    area = page.locator("#payload_template")
    await person.sign_in()
    await open_form(page)
    await write_template(page, '{"text": "#alert_name"}')
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type('{"new": "text')
    await expect(area).to_have_value('{"new": "text"}')
    for _ in "text":
        await page.keyboard.press("Shift+ArrowLeft")
    await page.keyboard.type("#alert_id")
    await expect(area).to_have_value('{"new": "#alert_id"}')
    # A bracket is put around what is selected, as ever.
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type("[")
    await expect(area).to_have_value('[{"new": "#alert_id"}]')
    await page.keyboard.press("ControlOrMeta+a")
    await page.keyboard.type("x")
    await expect(area).to_have_value("x")
    for undone in ('[{"new": "#alert_id"}]', '{"new": "#alert_id"}'):
        await page.keyboard.press("ControlOrMeta+z")
        await expect(area).to_have_value(undone)
