"""The whole path by the keyboard alone: every control is reached, seen to have the focus, and gives it back."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Locator, Page, expect

from dispatcher.events.types import EventType
from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from tests.support.browsing import ADA, Person
from tests.support.matching import an_event, publish
from tests.support.target import Target

MOST_TABS = 150

# What has the focus, where it is drawn (itself, its label, or the editor around it), and what is wrong with that.
FOCUS = """() => {
    const focused = document.activeElement;
    if (focused === document.body) return null;
    const around = focused.closest(".je-view");
    const drawn = focused.classList.contains("visually-hidden") ? focused.nextElementSibling : around ?? focused;
    const style = getComputedStyle(drawn), box = focused.classList.contains("visually-hidden")
        ? drawn.getBoundingClientRect() : focused.getBoundingClientRect();
    const name = focused.getAttribute("aria-label") ?? focused.id ?? "";
    const what = `${focused.tagName.toLowerCase()} ${name} ${focused.textContent.trim().slice(0, 40)}`;
    const wrong = [];
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1.5) wrong.push("its focus is not seen");
    const x = Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1);
    const top = Math.max(box.top, 0), bottom = Math.min(box.bottom, innerHeight);
    if (bottom - top < Math.min(box.height, 12)) wrong.push("it is out of the window");
    // A tall one may be covered in part; some of it is to be seen.
    const seen = [0.5, 0.15, 0.85].some((share) => {
        const at = document.elementFromPoint(x, top + (bottom - top) * share);
        return at && (drawn.contains(at) || at.contains(focused));
    });
    if (!seen) wrong.push("something covers it");
    return wrong.length ? `${what}: ${wrong.join(", ")}` : null;
}"""


class Keyboard:
    """Presses keys, and looks where the focus is after each Tab. What is wrong there is in ``wrong``."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.wrong: list[str] = []

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self._page.keyboard.press(key)

    async def type(self, text: str) -> None:
        await self._page.keyboard.type(text)

    async def to(self, target: Locator, key: str = "Tab") -> None:
        """Go on with Tab until this has the focus."""
        await expect(target).to_have_count(1)
        for _ in range(MOST_TABS):
            if await target.evaluate("(one) => one === document.activeElement"):
                return
            await self.press(key)
            if (wrong := await self._page.evaluate(FOCUS)) is not None:
                self.wrong.append(f"{self._page.url.rsplit('/', 1)[-1]}: {wrong}")
        raise AssertionError(f"{target} is not reached by {key}")


@pytest.fixture
async def keyboard(person: Person) -> AsyncIterator[Keyboard]:
    keyboard = Keyboard(person.page)
    yield keyboard
    assert not keyboard.wrong, "\n".join(keyboard.wrong)


@pytest.mark.usefixtures("delivering")
@pytest.mark.parametrize("width", [1400, 400])
async def test_the_whole_path(
    person: Person, keyboard: Keyboard, target: Target, clients: KafkaClients, topics: Topics, width: int
) -> None:
    page = person.page
    await page.set_viewport_size({"width": width, "height": 900})
    main = page.get_by_role("main")

    await page.goto("/")
    await keyboard.to(page.locator(f'button[value="{ADA}"]'))
    await keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="No webhooks yet")).to_be_visible()

    # The link to the content comes first, and leads there.
    await keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await keyboard.to(main.get_by_role("link", name="New", exact=True))
    await keyboard.press("Enter")
    await expect(page.locator("json-editor[data-ready]")).to_be_visible()
    await expect(page.locator("resource-picker[data-ready]")).to_be_visible()

    await keyboard.to(page.get_by_label("Name", exact=True))
    await keyboard.type("By keys")
    await keyboard.to(page.get_by_label("Event Type"))
    await keyboard.press("ArrowDown")
    await expect(page.get_by_label("Event Type")).to_have_value("executed_microservice")
    await keyboard.press("ArrowUp")
    await keyboard.to(page.get_by_label("Target URL"))
    await keyboard.type(target.url("keys"))
    await keyboard.to(page.get_by_label("Send webhook for all alerts"))
    await keyboard.press("Space")
    await keyboard.to(page.get_by_role("button", name="Slack"))
    await keyboard.press("Enter")
    editor = page.locator(".cm-content")
    await expect(editor).to_be_focused()
    await expect(page.locator("template-preview")).to_contain_text("*Active alert*")

    # In the editor Tab indents; Escape, then Tab, leaves it.
    # Typed over a selection, Chromium gives the text the style of what was there, which the page's policy refuses.
    await keyboard.press("ControlOrMeta+a", "Delete")
    await keyboard.type('{"text": "#alert_na')
    await expect(page.get_by_role("option", name="#alert_name")).to_be_visible()
    # The editor takes no key for the list in its first 75 ms, so that nobody chooses what they have not seen.
    await page.wait_for_timeout(150)
    await keyboard.press("Enter")
    await expect(page.locator("#payload_template")).to_have_value('{"text": "#alert_name"}')
    await keyboard.press("Home", "Tab")
    await expect(editor).to_be_focused()
    await expect(page.locator("#payload_template")).to_have_value('  {"text": "#alert_name"}')
    await expect(page.locator("#payload_template-json-keys")).to_contain_text("Esc")
    await keyboard.press("Escape", "Tab")
    await expect(editor).not_to_be_focused()
    await expect(page.get_by_role("button", name="Format", exact=True)).to_be_focused()
    await keyboard.to(page.locator("details summary").filter(has_text="Headers and rate limit"))
    await keyboard.press("Enter")
    await keyboard.to(page.get_by_label("Value of the header"))
    await keyboard.to(page.locator(".save-bar").get_by_role("button", name="Save"))
    await keyboard.press("Enter")
    await expect(page.get_by_text("The webhook is created.")).to_be_visible()

    await keyboard.to(main.get_by_role("button", name="Test"))
    await keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Result of the test")).to_be_focused()
    await expect(page.locator("#test")).to_contain_text("webhook-signature: v1,")
    await keyboard.to(main.get_by_role("button", name="Enable"), "Shift+Tab")
    await keyboard.press("Enter")
    await expect(page.get_by_role("status").first).to_have_text("The webhook is enabled.")

    await keyboard.to(page.get_by_role("link", name="Metrics"))
    await keyboard.press("Enter")
    await expect(page.locator(".la-state")).to_have_text("Live")
    event = an_event(EventType.ACTIVE_ALERT, "event-1", alert_id="alert-1", alert_name="Disk full")
    await publish(clients, topics.events[EventType.ACTIVE_ALERT], [event])
    rows = page.locator("live-attempts tbody tr")
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text("Successful")

    # The window takes the focus, keeps it, and gives it back.
    details = rows.first.get_by_role("link", name="Details")
    await keyboard.to(details)
    await keyboard.press("Enter")
    window = page.get_by_role("dialog")
    await expect(window.get_by_role("heading", name="Attempt 1")).to_be_focused()
    await keyboard.to(window.get_by_role("button", name="Close"), "Shift+Tab")
    await keyboard.press("Enter")
    await expect(window).to_have_count(0)
    await expect(details).to_be_focused()
    await keyboard.press("Enter")
    await expect(window.get_by_role("heading", name="Attempt 1")).to_be_focused()
    await keyboard.to(window.get_by_role("button", name="Resend"))
    await keyboard.press("Enter")
    await expect(window.get_by_role("status")).to_contain_text("This is run 2 of it")
    await expect(window.get_by_role("heading", name="Attempt 1")).to_be_focused()
    # What comes while somebody is in a row waits until they have left it.
    await expect(rows).to_have_count(2)
    await keyboard.press("Escape")
    await expect(window).to_have_count(0)
    await expect(rows.nth(1).get_by_role("link", name="Details")).to_be_focused()

    delete = main.get_by_role("link", name="Delete")
    await keyboard.to(delete, "Shift+Tab")
    await keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    await keyboard.press("Escape")
    await expect(delete).to_be_focused()
    await keyboard.press("Enter")
    await keyboard.to(dialog.get_by_role("link", name="Cancel"))
    await keyboard.press("Enter")
    await expect(delete).to_be_focused()
    await keyboard.press("Enter")
    await keyboard.to(dialog.get_by_role("button", name="Delete"))
    await keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("The webhook is deleted.")


async def test_menus_open_and_close_and_the_focus_stays(person: Person, keyboard: Keyboard) -> None:
    page = person.page
    await person.sign_in()
    menu = page.get_by_label("Menu of Ada Moreau")
    await keyboard.to(menu)
    await keyboard.press("Enter")
    await keyboard.to(page.get_by_role("button", name="Dark"))
    await keyboard.press("Escape")
    await expect(menu).to_be_focused()
    await expect(page.get_by_role("button", name="Dark")).not_to_be_visible()
    await keyboard.press("Enter")
    await keyboard.to(page.get_by_role("button", name="Dark"))
    await keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
