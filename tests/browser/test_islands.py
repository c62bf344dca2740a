"""The islands in a real browser, on the HTML that `frontend/README.md` says they expect, under the pages' policy."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from playwright.async_api import Browser, Page, Route, expect

from dispatcher.portal.pages.security_headers import security_headers
from dispatcher.portal.pages.static_files import ROOT
from tests.support.waiting import eventually

NONCE = "bm9uY2U"
HOSTILE = "<img src=x onerror=document.title='hacked'>\u202egnp.exe"
TYPES = [
    {
        "event_type": "active_alert",
        "variables": [{"name": "alert_name", "caption": "Alert name"}],
        "sample_values": {"alert_name": HOSTILE},
        "templates": {"example": {"text": "#alert_name"}},
    },
    {
        "event_type": "operation_executed",
        "variables": [{"name": "status", "caption": "Current status"}],
        "sample_values": {"status": "Completed"},
        "templates": {"example": {"text": "#status"}, "slack": {"text": "*#status*"}},
    },
]
TYPES_IN_SCRIPT = json.dumps(TYPES).replace("<", "\\u003c")
FORM = f"""
<webhook-form><script type="application/json" data-event-types>{TYPES_IN_SCRIPT}</script>
<form method="post" data-unsaved>
<select name="event_type"><option>active_alert</option><option>operation_executed</option></select>
<resource-picker data-url="/resources" data-event-type="active_alert" data-name="items"
  data-selected="{escape(json.dumps([{"id": "gone", "name": None, "url": None}]))}">
<label><input type="checkbox" name="all_items" value="true" data-all> <span data-all-label></span></label>
</resource-picker>
<button type="button" data-insert-template="example">Example</button>
<button type="button" data-insert-template="slack">Slack</button>
<label for="template">Message</label>
<json-editor><textarea id="template" name="payload_template">{{}}</textarea></json-editor>
<template-preview for="template"></template-preview>
<button>Save</button> <a href="/elsewhere">Elsewhere</a>
</form></webhook-form>
"""
BADGES = "".join(
    f'<b data-when="{status}">{status}</b>' for status in ("pending", "in_progress", "successful", "failed")
)
ATTEMPTS = f"""
<live-attempts data-stream="/stream" data-list="/attempts" data-status="%s" data-limit="3" data-first-page>
<table><thead><tr><th>Status</th><th>Duration</th><th>Error</th><th>Executed on</th></tr></thead><tbody></tbody></table>
<p data-empty>Nothing yet.</p>
<template><tr><td data-field="status">{BADGES}</td><td data-field="duration_ms"></td><td data-field="error"></td>
<td data-field="executed_on"></td></tr></template></live-attempts>
"""
WITH_DETAILS = ATTEMPTS.replace(
    "</tr></template>", '<td><a data-href="/attempts/{id}" data-attempt-link>Details</a></td></tr></template>'
)
WINDOW = '<attempt-window><dialog aria-label="Details"><div data-content></div></dialog></attempt-window>'
FOLLOWED = """
<template data-not-loaded><div role="alert">Not there. <button data-again>Try again</button></div></template>
<div data-part="notice" data-deferred hidden></div>
<div data-part="attempts" data-deferred="attempts" aria-busy="true"></div>
"""
FIGURES = '<live-metrics data-url="/figures"><p data-figure="total">0</p></live-metrics>'
FILTERS = """
<form data-submits><label for="type">Type</label>
<select id="type" name="type"><option value="">All</option><option>alert</option></select>
<button data-scriptless>Apply</button></form>
"""
TIMES = """
<zoned-times><input type="hidden" id="zone" value="UTC">
<input type="datetime-local" id="typed" value="2026-11-24T10:00" data-utc>
<input type="datetime-local" id="suggested" value="2026-11-24T10:00" data-utc>
<input type="datetime-local" id="linked" value="2026-11-24T12:00:00" data-moment="2026-11-24T10:00:00Z"></zoned-times>
"""
PLOTS = '<delivery-plots data-url="/history"></delivery-plots>'


def attempt(name: str, status: str, second: int) -> dict[str, Any]:
    at = f"2026-11-24T10:00:{second:02}.000Z"
    waits = status == "pending"
    return {
        "id": name,
        "message_id": "msg",
        "run": 1,
        "attempt": 1,
        "status": status,
        "duration_ms": None if waits else 1234,
        "response_code": None if waits else 500,
        "executed_on": None if waits else at,
        "error": HOSTILE,
        "next_attempt_at": at if waits else None,
    }


@dataclass
class Backend:
    """What the islands ask, as the API answers it."""

    body: str = ""
    listed: list[dict[str, Any]] = field(default_factory=list)
    happening: asyncio.Queue[dict[str, Any] | None] = field(default_factory=asyncio.Queue)
    """What the stream tells; None ends it."""
    asked: list[dict[str, str]] = field(default_factory=list)
    refuses: int = 0
    """How many requests for the list are answered 503."""
    status: int = 200
    """How the list, the stream, items and figures are answered."""
    part: str = ""
    may_come: asyncio.Event = field(default_factory=asyncio.Event)
    part_refused: list[tuple[int, str]] = field(default_factory=list)
    """With which status, and which Retry-After, the next requests for a part are answered."""
    part_asked: list[float] = field(default_factory=list)
    sent: int = 0
    figures_asked: int = 0
    """How often; the figure that is answered, too."""

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self.refusing])
        app.router.add_get("/page", self.page)
        app.router.add_get("/resources", self.resources)
        app.router.add_get("/attempts", self.attempts)
        app.router.add_get("/attempts/{id}", self.details)
        app.router.add_get("/stream", self.stream)
        app.router.add_get("/history", self.history)
        app.router.add_get("/figures", self.figures)
        app.router.add_post("/sent", self.send)
        app.router.add_static("/static/", ROOT)
        return app

    @web.middleware
    async def refusing(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.status != 200 and request.path in {"/resources", "/attempts", "/stream", "/history"}:
            return web.json_response({"status": self.status}, status=self.status)
        return await handler(request)

    async def page(self, request: web.Request) -> web.Response:
        if "X-Page-Part" in request.headers:
            self.part_asked.append(asyncio.get_running_loop().time())
            if self.part_refused:
                status, retry_after = self.part_refused.pop(0)
                return web.Response(status=status, headers={"Retry-After": retry_after})
            await self.may_come.wait()
            return web.Response(text=self.part, content_type="text/html")
        names = ["json-editor", "template-preview", "webhook-form", "resource-picker", "live-attempts"]
        names += [
            "attempt-window",
            "delivery-plots",
            "unsaved-changes",
            "deferred-parts",
            "live-metrics",
            "zoned-times",
        ]
        scripts = "".join(
            f'<script type="module" src="/static/{name}.js"></script>'
            for name in ("portal", *(f"built/{name}" for name in names))
        )
        text = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="csp-nonce" content="{NONCE}">'
            '<title>Islands</title><link rel="icon" href="/static/icon.svg">'
            '<link rel="stylesheet" href="/static/portal.css"><link rel="stylesheet" href="/static/built/islands.css">'
            f"{scripts}</head><body><main>{self.body}</main></body></html>"
        )
        return web.Response(text=text, content_type="text/html", headers=security_headers(NONCE))

    async def resources(self, request: web.Request) -> web.Response:
        start = int(request.query.get("cursor", "0"))
        url = (
            "javascript:document.title='hacked'"
            if request.query["event_type"] == "active_alert"
            else "https://a.example"
        )
        names = [f"Item {number} {HOSTILE}" for number in range(250)]
        found = [name for name in names if request.query.get("search", "") in name]
        page = [{"id": name.split()[1], "name": name, "url": url} for name in found[start : start + 100]]
        return web.json_response({"items": page, "next_cursor": f"{start + 100}" if start + 100 < len(found) else None})

    async def attempts(self, _: web.Request) -> web.Response:
        if self.refuses:
            self.refuses -= 1
            return web.json_response({"status": 503}, status=503)
        return web.json_response({"items": self.listed, "next_cursor": None})

    async def details(self, request: web.Request) -> web.Response:
        text = (
            f'<main><div id="attempt"><h1 id="attempt-title" tabindex="-1">{request.match_info["id"]}</h1></div></main>'
        )
        return web.Response(text=text, content_type="text/html")

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while (came := await self.happening.get()) is not None:
            await response.write(b"event: attempt\ndata: %b\n\n" % json.dumps(came).encode())
        return response

    async def send(self, _: web.Request) -> web.Response:
        self.sent += 1
        return web.Response(status=204)

    async def figures(self, _: web.Request) -> web.Response:
        self.figures_asked += 1
        return web.json_response({"total": self.figures_asked})

    async def history(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        start = request.query["from"]
        bucket = {"start": start, "successful": 7, "failed": 2, "attempts": 11, "p50_ms": 5, "p95_ms": 8, "p99_ms": 9}
        return web.json_response({"items": [bucket]})


@pytest.fixture
async def backend() -> AsyncIterator[tuple[Backend, str]]:
    made = Backend()
    server = TestServer(made.application(), shutdown_timeout=0.1)
    await server.start_server()
    yield made, str(server.make_url("/page"))
    await server.close()


@pytest.fixture
async def opened(backend: tuple[Backend, str], browser: Browser) -> AsyncIterator[Callable[[str], Any]]:
    """Opens a page with the HTML; in the end nothing has gone wrong in it, and nothing hostile has run."""
    wrong: list[str] = []
    page = await browser.new_page(timezone_id="America/New_York")
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)

    async def opens(body: str) -> Page:
        backend[0].body = body
        await page.goto(backend[1])
        return page

    yield opens
    title = await page.title()
    await page.close()
    assert title == "Islands"
    # The browser's own words for an answer above 399, which tests may provoke.
    assert [text for text in wrong if "Failed to load resource" not in text] == []


@asynccontextmanager
async def before_script(page: Page, name: str) -> AsyncIterator[None]:
    """The page anew; within, its script has not come yet, and after it all have run."""
    may_come = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_come.wait()
        await route.continue_()

    await page.route(f"**/{name}.js", hold)
    await page.reload(wait_until="commit")
    yield
    may_come.set()
    await page.wait_for_load_state()


async def test_the_editor_completes_marks_mistakes_and_lets_go_of_the_keyboard(opened: Callable[[str], Any]) -> None:
    page = await opened(FORM)
    area = page.locator("#template")
    message = page.locator(".je-message")
    await page.locator(".cm-content").click()
    await page.keyboard.press("Control+End")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.type('"text": "#al')
    await expect(page.locator(".cm-tooltip-autocomplete")).to_contain_text("Alert name")
    await expect(page.locator("[aria-selected=true]")).to_contain_text("#alert_name")
    await page.locator("[aria-selected=true]").click()
    await expect(area).to_have_value('{"text": "#alert_name"}')
    await expect(message).to_have_text("Valid JSON.")
    await page.keyboard.press("End")
    await page.keyboard.type("\nx")
    await expect(message).to_contain_text("Line 2, column 1: “x” is not expected here")
    await expect(page.locator(".cm-lint-marker-error")).to_have_count(1)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Format")).to_be_focused()


async def test_the_editor_marks_what_is_unseen_and_tears_no_emoji_apart(opened: Callable[[str], Any]) -> None:
    text = '{"a": "👩\u200d💻 \u0645\u06cc\u200c\u062e", "b": "x\u200dy \u202e"}'
    page = await opened(FORM.replace("{}</textarea>", f"{text}</textarea>"))
    await expect(page.locator(".cm-line")).to_contain_text("👩\u200d💻")
    await expect(page.locator(".cm-specialChar")).to_have_count(2)


async def test_what_depends_on_the_event_type_follows_it(opened: Callable[[str], Any]) -> None:
    page = await opened(FORM)
    page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await expect(page.get_by_role("button", name="Slack")).to_be_disabled()
    await page.get_by_role("button", name="Example").click()
    await expect(page.locator("template-preview code")).to_contain_text("<img src=x")
    await page.select_option("select", "operation_executed")
    await expect(page.locator("#template")).to_have_value('{\n  "text": "#status"\n}')
    await expect(page.locator("template-preview mark")).to_have_text("Completed")
    await expect(page.locator("[data-all-label]")).to_have_text("Send webhook for all operations")
    await expect(page.locator(".rp-row a").first).to_have_attribute("href", "https://a.example/")


async def test_of_a_long_message_the_preview_shows_the_beginning_and_says_so(opened: Callable[[str], Any]) -> None:
    page = await opened(
        '<label for="template">Message</label><textarea id="template"></textarea>'
        '<template-preview for="template"></template-preview>'
    )
    area, code, note = page.locator("#template"), page.locator("template-preview code"), page.locator(".tp-note")
    await area.fill(json.dumps({"n": [1] * 1_000}))
    await expect(note).to_have_text("2,007 bytes.")
    await area.fill(json.dumps({"n": [1] * 100_000}))
    await expect(note).to_have_text("200,007 bytes. Only its first 65,536 characters are shown here.")
    shown = await code.text_content()
    assert shown is not None
    assert shown.startswith('{\n  "n": [\n    1,\n')
    assert len(shown) == 64 * 1024 + len("…")


async def test_items_are_chosen_by_keyboard_and_posted_with_those_that_are_gone(opened: Callable[[str], Any]) -> None:
    page = await opened(FORM)
    rows = page.locator(".rp-row")
    await expect(rows).to_have_count(100)
    await expect(rows.first).to_contain_text("[U+202E]gnp.exe")
    await expect(page.locator(".rp-row a")).to_have_count(0)
    await page.get_by_role("searchbox").focus()
    for key in ("ArrowDown", "Space", "ArrowDown", "Space"):
        await page.keyboard.press(key)
    posted = "[...new FormData(document.querySelector('form')).getAll('items')]"
    assert await page.evaluate(posted) == ["gone", "0", "1"]
    await rows.last.scroll_into_view_if_needed()
    await expect(rows).to_have_count(200)
    await page.get_by_role("searchbox").fill("Item 249")
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Remove gone").click()
    assert await page.evaluate(posted) == ["0", "1"]
    await page.get_by_role("checkbox", name="Send webhook for all alerts").check()
    assert await page.evaluate(posted) == []


async def test_leaving_asks_only_when_something_was_changed(opened: Callable[[str], Any]) -> None:
    page = await opened(FORM)
    asked: list[str] = []

    async def stay(dialog: Any) -> None:
        asked.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", stay)
    await expect(page.locator(".rp-row")).to_have_count(100)
    assert await page.evaluate("dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    await page.get_by_role("checkbox", name="Send webhook for all alerts").check()
    await page.get_by_role("link", name="Elsewhere").click()
    await eventually(lambda: len(asked) == 1)
    assert page.url.endswith("/page")
    assert not await page.evaluate("dispatchEvent(new Event('beforeunload', {cancelable: true}))")


async def test_attempts_appear_change_in_place_and_stay_text(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    backend[0].listed = [attempt("b", "failed", 20), attempt("a", "failed", 10)]
    page = await opened(ATTEMPTS % "")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await expect(page.locator("[data-empty]")).to_be_hidden()
    await backend[0].happening.put(attempt("c", "pending", 30))
    await expect(rows.first).to_contain_text("pending")
    await expect(rows.first).to_contain_text("due Nov 24, 2026, 5:00:30")
    await backend[0].happening.put(attempt("c", "failed", 31))
    await backend[0].happening.put(attempt("c", "pending", 30))
    await expect(rows.first).to_contain_text("1,234 ms")
    await expect(rows.first).to_contain_text("<img src=x onerror=document.title='hacked'>[U+202E]gnp.exe")
    await backend[0].happening.put(attempt("d", "successful", 40))
    # Three to a page: the oldest makes room.
    await expect(page.locator("tbody [data-field=status]")).to_have_text(["successful", "failed", "failed"])


async def test_the_list_is_asked_for_until_it_is_there_and_nothing_is_said_to_be_empty_before(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, _ = backend
    made.refuses = 2
    page = await opened((ATTEMPTS % "failed").replace("<p data-empty>", "<p data-empty hidden>"))
    empty = page.get_by_text("Nothing yet.")
    await made.happening.put(attempt("other", "successful", 9))
    await expect(page.locator(".la-state")).to_have_text("Live")
    await eventually(lambda: made.refuses == 0)
    await expect(empty).to_be_hidden()
    await expect(empty).to_be_visible()
    await made.happening.put(attempt("a", "failed", 10))
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(empty).to_be_hidden()


@pytest.mark.parametrize("first_page", [True, False])
async def test_of_many_new_attempts_the_newest_are_kept_and_the_others_counted(
    opened: Callable[[str], Any], backend: tuple[Backend, str], first_page: bool
) -> None:
    made, _ = backend
    made.listed = [attempt(name, "failed", second) for name, second in (("c", 3), ("b", 2), ("a", 1))]
    page = await opened((ATTEMPTS % "").replace("<td data-field", "<td tabindex=0 data-field", 1))
    rows, pill = page.locator("tbody tr"), page.locator(".la-pill")
    await expect(rows).to_have_count(3)
    if not first_page:
        await page.evaluate("document.querySelector('live-attempts').removeAttribute('data-first-page')")
    await rows.first.locator("[tabindex]").focus()
    await page.evaluate(
        """() => {
            window.inserted = 0;
            const count = (changes) => { window.inserted += changes.flatMap((one) => [...one.addedNodes]).length };
            new MutationObserver(count).observe(document.querySelector("tbody"), {childList: true});
        }"""
    )
    for number in range(600):
        at = f"2026-11-24T11:{number // 60:02}:{number % 60:02}.000Z"
        made.happening.put_nowait({**attempt(f"new-{number}", "successful", 0), "executed_on": at})
    await expect(pill).to_have_text("600 new attempts")
    await expect(page.locator("tbody [data-field=status]")).to_have_text(["failed"] * 3)
    if first_page:
        made.listed = []
        await pill.click()
        await expect(page.locator("tbody [data-field=status]")).to_have_text(["successful"] * 3)
        await expect(page.locator("tbody time").first).to_have_attribute("datetime", "2026-11-24T11:09:59.000Z")
        await expect(pill).to_be_hidden()
        assert await page.evaluate("window.inserted") == 3


async def test_a_filter_holds_and_pausing_stops(opened: Callable[[str], Any], backend: tuple[Backend, str]) -> None:
    page = await opened(ATTEMPTS % "pending")
    rows = page.locator("tbody tr")
    for name, status in (("a", "successful"), ("b", "pending"), ("c", "pending")):
        await backend[0].happening.put(attempt(name, status, 10))
    await expect(rows).to_have_count(2)
    await backend[0].happening.put(attempt("b", "in_progress", 11))
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator(".la-state")).to_have_text("Paused")
    await expect(rows).to_have_count(1)


async def test_what_becomes_of_the_connection_is_said_to_who_does_not_see_it(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, _ = backend
    page = await opened(ATTEMPTS % "")
    state, said = page.locator(".la-state"), page.get_by_role("status")
    await expect(state).to_have_text("Live")
    await expect(said).to_have_text("")
    await page.evaluate(
        """() => {
            window.told = [];
            const said = document.querySelector("live-attempts [role=status]");
            new MutationObserver(() => window.told.push(said.textContent)).observe(said, {childList: true});
        }"""
    )
    made.status = 401
    await made.happening.put(None)
    await expect(said).to_have_text("Your session has ended.")
    # Each once, however often it is tried.
    assert await page.evaluate("window.told") == ["Connection lost. Trying again…", "Your session has ended."]


async def test_a_pause_is_said_and_its_end_takes_that_back(opened: Callable[[str], Any]) -> None:
    page = await opened(ATTEMPTS % "")
    said = page.get_by_role("status")
    await page.get_by_role("button", name="Pause").click()
    await expect(said).to_have_text("Paused")
    await page.get_by_role("button", name="Resume").click()
    await expect(page.locator(".la-state")).to_have_text("Live")
    await expect(said).to_have_text("")


async def test_whoever_is_in_a_row_keeps_the_focus_where_it_moves_and_has_the_next_one_s_where_it_goes(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, _ = backend
    made.listed = [attempt("b", "pending", 20), attempt("a", "pending", 10)]
    page = await opened(WITH_DETAILS % "")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await rows.nth(1).get_by_role("link").focus()
    await page.evaluate("window.lost = 0; document.addEventListener('focusout', () => { window.lost += 1 })")
    await made.happening.put(attempt("a", "failed", 11))
    await expect(rows.nth(1)).to_contain_text("failed")
    await expect(rows.nth(1).get_by_role("link")).to_be_focused()
    assert await page.evaluate("window.lost") == 0
    await made.happening.put(attempt("a", "successful", 30))
    await expect(rows.first).to_contain_text("successful")
    await expect(rows.first.get_by_role("link")).to_be_focused()

    page = await opened(WITH_DETAILS % "pending")
    await expect(rows).to_have_count(2)
    await rows.first.get_by_role("link").focus()
    await made.happening.put(attempt("b", "failed", 21))
    await expect(rows).to_have_count(1)
    await expect(rows.first.get_by_role("link")).to_be_focused()
    await made.happening.put(attempt("a", "failed", 11))
    await expect(rows).to_have_count(0)
    await expect(page.locator("live-attempts")).to_be_focused()


async def test_who_closes_the_details_of_a_row_that_is_gone_is_back_at_the_table(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, _ = backend
    made.listed = [attempt("a", "failed", 10)]
    page = await opened((WITH_DETAILS % "") + WINDOW)
    await page.get_by_role("link", name="Details").press("Enter")
    await expect(page.get_by_role("dialog").get_by_role("heading", name="a")).to_be_focused()
    for number in range(3):
        await made.happening.put(attempt(f"new-{number}", "successful", 20 + number))
    await expect(page.locator("tbody tr[data-status=successful]")).to_have_count(3)
    await expect(page.locator("tbody tr")).to_have_count(3)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator("live-attempts")).to_be_focused()


async def with_details_open(opened: Callable[[str], Any], backend: Backend) -> tuple[Any, Any]:
    """A page whose only attempt's details are open, and the heading of these."""
    backend.listed = [attempt("a", "failed", 10)]
    page = await opened((WITH_DETAILS % "") + WINDOW)
    await page.get_by_role("link", name="Details").click()
    heading = page.get_by_role("dialog").get_by_role("heading", name="a")
    await expect(heading).to_be_focused()
    return page, heading


async def test_back_closes_the_details_and_forward_opens_them_again(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    page, heading = await with_details_open(opened, backend[0])
    for close in (page.go_back, lambda: page.keyboard.press("Escape")):
        await close()
        await expect(page).to_have_url(backend[1])
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.go_forward()
        await expect(heading).to_be_focused()
        assert page.url.endswith("/attempts/a")
    await page.go_back()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url == backend[1]


async def test_forward_opens_details_that_are_still_being_closed(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    page, heading = await with_details_open(opened, backend[0])
    # As Back and Forward do, before the window knows that it is closed.
    await page.evaluate(
        """() => {
            const go = (state, address) => {
                history.replaceState(state, "", address);
                dispatchEvent(new PopStateEvent("popstate", { state }));
            };
            window.closed = new Promise((done) => document.querySelector("dialog").addEventListener("close", done));
            go(null, "/page");
            go({ window: true }, "/attempts/a");
        }"""
    )
    await page.evaluate("async () => { await window.closed; }")
    await expect(heading).to_be_focused()
    await expect(page).to_have_url(re.compile("/attempts/a$"))


@pytest.mark.parametrize(
    "again",
    ["open()", "dialog.addEventListener('close', open, { once: true })", "setTimeout(open, 0)"],
    ids=["before the window knows that it is closed", "as it does", "a moment later"],
)
async def test_who_opens_details_again_at_once_sees_them(
    again: str, opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    page, heading = await with_details_open(opened, backend[0])
    await page.evaluate(
        "{ const dialog = document.querySelector('dialog'); dialog.close();"
        f" const open = () => document.querySelector('tbody a').click(); {again} }}"
    )
    await expect(heading).to_be_focused()
    await page.wait_for_url("**/attempts/a")
    await page.go_back()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url == backend[1]


async def test_plots_keep_their_range_in_the_address_and_have_a_table(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    page = await opened(PLOTS)
    await expect(page.locator("canvas")).to_have_count(2)
    await expect(page.locator(".dp-said")).to_have_text("24 hours: 7 successful, 2 failed.")
    await page.get_by_role("button", name="28 days").click()
    await expect(page.locator(".dp-said")).to_have_text("28 days: 7 successful, 2 failed.")
    assert page.url.endswith("?range=28d")
    assert [asked["bucket"] for asked in backend[0].asked] == ["hour", "day"]
    await page.get_by_text("Show as table").click()
    await expect(page.locator(".dp-table tbody td")).to_have_text(["7", "2", "11", "5 ms", "8 ms", "9 ms"])
    await page.locator(".dp-area").first.focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator(".dp-tip").first).to_contain_text("Successful")


@pytest.mark.parametrize("status", [401, 403])
async def test_where_the_session_has_ended_everything_says_so_and_leads_back(
    opened: Callable[[str], Any], backend: tuple[Backend, str], status: int
) -> None:
    made, _ = backend
    made.status = status
    page = await opened(f"{ATTEMPTS % ''}{PLOTS}{FORM}")
    for shown in (page.locator(".dp-said"), page.locator(".la-state")):
        await expect(shown).to_have_text("Your session has ended. Sign in again")
        await expect(shown.get_by_role("link")).to_have_attribute("href", "/sign-in?next=%2Fpage")
    # What was typed beside the items stays; whoever has signed in goes on there.
    note = page.locator(".rp-note")
    await expect(note).to_have_text("Your session has ended. Sign in again in a new tab Try again")
    await expect(note.get_by_role("link")).to_have_attribute("target", "_blank")
    made.status = 200
    await note.get_by_role("button", name="Try again").click()
    await expect(page.locator(".rp-row")).to_have_count(100)
    await page.get_by_role("button", name="7 days").click()
    await expect(page.locator(".dp-said")).to_have_text("7 days: 7 successful, 2 failed.")


async def test_where_the_webhook_was_deleted_the_table_and_the_plots_say_so(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    backend[0].status = 404
    page = await opened(f"{ATTEMPTS % ''}{PLOTS}")
    for shown in (page.locator(".dp-said"), page.locator(".la-state")):
        await expect(shown).to_have_text("This webhook was deleted.")
    await expect(page.get_by_role("button", name="Try again")).to_have_count(0)


async def test_a_part_that_comes_later_is_as_if_it_had_been_there(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, _ = backend
    made.part = (
        '<div data-part="attempts"><time datetime="2026-11-24T10:00:30.000Z">then</time>'
        '<a href="/page?cursor=c">Older</a><form method="post" action="/sent"><button>Test</button></form></div>'
    )
    page = await opened(f'{PLOTS}<div data-part="attempts" data-deferred="attempts"></div>')
    await page.get_by_role("button", name="28 days").click()
    made.may_come.set()
    await expect(page.locator("time")).to_have_text("Nov 24, 2026, 5:00 AM")
    await expect(page.get_by_role("link", name="Older")).to_have_attribute("href", re.compile("range=28d$"))
    button = page.get_by_role("button", name="Test")
    await button.click()
    await eventually(lambda: made.sent == 1)
    await expect(button).to_have_attribute("aria-busy", "true")
    again = "form => form.dispatchEvent(new Event('submit', {bubbles: true, cancelable: true}))"
    assert not await page.locator("form").evaluate(again)


async def test_a_part_that_does_not_come_at_once_is_asked_for_again_on_the_page_that_is_there(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, url = backend
    made.part = '<div data-part="attempts">Three attempts</div>'
    made.may_come.set()
    made.part_refused = [(429, "2")]
    page = await opened(FOLLOWED)
    await expect(page.get_by_text("Three attempts")).to_be_visible()
    assert made.part_asked[1] - made.part_asked[0] >= 2
    await expect(page.locator("[data-deferred]")).to_have_count(0)
    assert page.url == url


async def test_where_a_part_does_not_come_the_page_stays_and_somebody_can_try_again(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, url = backend
    made.part = '<div data-part="attempts">Three attempts</div>'
    made.may_come.set()
    made.part_refused = [(503, ""), (502, ""), (503, ""), (429, "60")]
    page = await opened(FOLLOWED)
    alert, again = page.get_by_role("alert"), page.get_by_role("button", name="Try again")
    await expect(alert).to_contain_text("Not there.")
    assert len(made.part_asked) == 3
    await expect(page.locator('[data-part="attempts"]')).to_have_attribute("aria-busy", "false")
    await again.press("Enter")
    # Nobody is kept waiting for a minute: it is said again at once.
    await eventually(lambda: len(made.part_asked) == 4)
    await expect(again).not_to_have_attribute("aria-busy", "true")
    await expect(again).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Three attempts")).to_be_visible()
    await expect(alert).to_have_count(0)
    await expect(page.locator("main")).to_be_focused()
    assert page.url == url


async def test_who_may_not_see_a_part_is_told_by_the_page(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, url = backend
    made.part_refused = [(401, "")]
    made.may_come.set()
    page = await opened(FOLLOWED)
    await expect(page).to_have_url(f"{url}?whole=yes")


async def test_figures_are_asked_for_once_more_when_what_happened_has_settled(
    opened: Callable[[str], Any], backend: tuple[Backend, str]
) -> None:
    made, _ = backend
    page = await opened("")
    await page.clock.install(time=0)
    await opened(FIGURES)
    await page.clock.pause_at(1)
    figure = page.locator("[data-figure]")
    await page.evaluate("document.dispatchEvent(new Event('attempts'))")
    for passes, asked in ((3_000, "1"), (4_000, "2"), (30_000, "3")):
        await page.clock.run_for(passes)
        await expect(figure).to_have_text(asked)
    assert made.figures_asked == 3


@pytest.mark.parametrize("by", ["leaving the list", "the button"])
async def test_what_was_chosen_before_the_page_s_script_ran_can_be_applied(
    opened: Callable[[str], Any], backend: tuple[Backend, str], by: str
) -> None:
    page = await opened(FILTERS)
    type, button = page.get_by_label("Type"), page.get_by_role("button", name="Apply")
    await expect(button).to_be_hidden()
    async with before_script(page, "portal"):
        await type.select_option("alert")
    await (type.press("Tab") if by == "leaving the list" else button.click())
    await expect(page).to_have_url(f"{backend[1]}?type=alert")


async def test_a_time_that_was_typed_before_the_script_ran_is_left_as_it_is(opened: Callable[[str], Any]) -> None:
    page = await opened(TIMES)
    async with before_script(page, "zoned-times"):
        await page.locator("#typed").fill("2026-11-24T08:30")
    for id, value in {
        "zone": "America/New_York",
        "typed": "2026-11-24T08:30",
        "suggested": "2026-11-24T05:00",
        "linked": "2026-11-24T05:00",
    }.items():
        await expect(page.locator(f"#{id}")).to_have_value(value)


async def test_a_list_is_searched_for_names_and_not_for_what_stands_beside_them(opened: Callable[[str], Any]) -> None:
    page = await opened(
        '<input type="search" data-filters="list" data-nothing="Nothing.">'
        '<ul id="list"><li><span>Interview</span><a href="/a">View</a></li>'
        '<li><span>B</span><a href="/b">View</a></li></ul>'
    )
    await page.get_by_role("searchbox").fill("view")
    await expect(page.locator("li:visible span")).to_have_text(["Interview"])


async def test_a_dialog_is_closed_by_a_click_outside_and_not_by_letting_go_of_a_selection_there(
    opened: Callable[[str], Any],
) -> None:
    page = await opened('<dialog open><p class="dialog-body">What the target answered</p></dialog>')
    box = await page.get_by_text("What the target answered").bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 90, box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(5, 5, steps=5)
    await page.mouse.up()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await page.evaluate("getSelection().toString()") != ""
    await page.mouse.click(5, 5)
    await expect(page.get_by_role("dialog")).to_have_count(0)
