"""docs/images: ``python -m tools.pictures`` starts a demonstration that has a past, and takes pictures of its pages.

Needs Chrome or Chromium, as the tests in a browser do. The past is made up: what began a minute ago has little to plot.
With names, such as ``audit edit``, it takes only these.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from dispatcher.delivery.outcome import encode_outcome
from dispatcher.recording.clickhouse import ClickHouse
from dispatcher.settings import PREFIX
from tools.sample_deliveries import Hook, sample_outcomes

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
# The first is Chromium without the browser around the page: it takes a third of the processor.
_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_PERSON = "demo-priya"
_WITHOUT_ROLE = "demo-tom"
_HEALTHY, _TROUBLED = "org-contoso", "org-fabrikam"
_PAST_DAYS = 28
_HOUR_MS = 3_600_000
_SIZE = ViewportSize(width=1240, height=800)
_WINDOW = ViewportSize(width=1080, height=740)
_NARROW = ViewportSize(width=400, height=860)
_DONE = {
    "rotate-secret": "Copy the signing secret now",
    "test": "Result of the test",
    "disable": "The webhook is disabled.",
    "enable": "The webhook is enabled.",
}
_STOP_SECONDS = 60
_FAILS_TWICE_SECONDS = 180
_SEEN_MS = 30_000

Webhook = Mapping[str, Any]


@contextmanager
def demonstration(data_dir: Path) -> Iterator[str]:
    """A ``dispatcher up --demo``; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {"DATA_DIR": data_dir, "HTTP_PORT": port, "CLICKHOUSE_HTTP_PORT": 0}
    process = subprocess.Popen(
        [sys.executable, "-m", "dispatcher", "up", "--demo", "--senders", "0"],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            **{f"{PREFIX}{name}": str(value) for name, value in settings.items()},
        },
        cwd=data_dir,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if not any(line.startswith("Ctrl-C stops everything") for line in process.stdout or ()):
            sys.exit("error: the demonstration ended before it was ready; see above")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(_STOP_SECONDS)


def browser_program() -> str | None:
    """The path of a Chrome or Chromium, if one is installed."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


@contextmanager
def visitor(url: str, person: str = _PERSON) -> Iterator[Page]:
    """A browser's page where somebody has signed in."""
    with stranger(url) as page:
        page.goto("/")
        page.locator(f'button[value="{person}"]').click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        yield page


@contextmanager
def stranger(url: str) -> Iterator[Page]:
    """A browser's page where nobody has signed in yet."""
    program = browser_program()
    if program is None:
        sys.exit("error: no Chrome or Chromium is installed: apt-get install chromium, or the like")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser.new_page(base_url=url, viewport=_SIZE, locale="en-US", timezone_id="Europe/Madrid")
        browser.close()


def items(page: Page, path: str) -> list[dict[str, Any]]:
    """What a list of the API has, for who has signed in."""
    answer = page.request.get(f"/api/v1/organizations/{path}")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def past_of(webhook: Webhook, organization: str) -> Hook:
    """Weeks in which its target was as the demonstration's is, and worse in the evenings."""
    troubled = organization == _TROUBLED
    return Hook(
        organization,
        webhook["id"],
        webhook["event_type"],
        urlsplit(webhook["target_url"]).netloc,
        hourly=12 if troubled else 30,
        duration_ms=180 if troubled else 40,
        fails=0.25 if troubled else 0.02,
        error="the target answered 503",
        code=503,
        evenings=0.55 if troubled else 0.1,
    )


async def record(past: list[Hook], data_dir: Path) -> None:
    """Put a past into the embedded ClickHouse, which nobody holds now."""
    until = int(time.time() * 1000) // _HOUR_MS * _HOUR_MS
    clickhouse = ClickHouse(f"chdb://{data_dir / 'clickhouse'}")
    try:
        outcomes = sample_outcomes(until, past, days=_PAST_DAYS)
        await clickhouse.insert("outcomes", b"\n".join(map(encode_outcome, outcomes)))
    finally:
        await clickhouse.close()


def take(page: Page, name: str) -> None:
    """Write a picture of what is seen, and say how large it is: above 150 kB, show less."""
    if name not in (sys.argv[1:] or [name]):
        return
    expect(page.locator("[data-deferred]")).to_have_count(0)
    picture = page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    print(f"docs/images/{name}.png: {len(picture) // 1000} kB", flush=True)


def ways_in(url: str) -> None:
    """Where people sign in, and what somebody without the role is told."""
    with stranger(url) as page:
        page.goto("/")
        take(page, "sign-in")
    with visitor(url, _WITHOUT_ROLE) as page:
        take(page, "no-role")


def overview(page: Page) -> None:
    """An organization's webhooks."""
    page.goto(f"/organizations/{_HEALTHY}/webhooks")
    take(page, "overview")


def webhook(page: Page, address: str) -> None:
    """The details of one."""
    page.goto(address)
    take(page, "webhook")


def audit(page: Page, address: str) -> None:
    """Who changed what: somebody makes a new secret, tests it, pauses the webhook, and sets a limit."""
    for action in ("rotate-secret", "test", "disable", "enable"):
        page.goto(address)
        page.locator(f'form[action$="/{action}"]').evaluate("(form) => form.requestSubmit()")
        expect(page.get_by_text(_DONE[action]).first).to_be_visible()
    page.goto(f"{address}/edit")
    page.get_by_text("Headers and rate limit").click()
    page.get_by_label("Rate limit, in attempts a second").fill("5")
    page.locator(".save-bar").get_by_role("button", name="Save").click()
    expect(page.get_by_text("The webhook is saved.")).to_be_visible()
    page.goto(f"{address}?tab=audit")
    expect(page.locator("tbody tr").first).to_contain_text("Rate limit")
    take(page, "audit")


def organization_audit(page: Page) -> None:
    """The same of all of an organization's webhooks."""
    page.goto(f"/organizations/{_TROUBLED}/audit")
    expect(page.locator("tbody tr").first).to_contain_text("Rate limit")
    take(page, "organization-audit")


def edit(page: Page, address: str) -> None:
    """What can be changed of a webhook."""
    page.goto(f"{address}/edit")
    expect(page.locator("json-editor[data-ready]")).to_be_visible()
    page.get_by_role("checkbox", name="Send webhook for all alerts").uncheck()
    for row in range(2):
        page.locator(".rp-row").nth(row).click()
    take(page, "edit")


def metrics(page: Page, address: str) -> None:
    """How it fares, in the light and in the dark."""
    for name, dark in (("metrics", False), ("metrics-dark", True)):
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto(f"{address}?tab=metrics")
        expect(page.locator(".la-state")).to_have_text("Live")
        expect(page.locator("delivery-plots canvas")).to_have_count(2)
        take(page, name)
    page.emulate_media(color_scheme="light")


def recover(page: Page, address: str) -> None:
    """Sending again what failed."""
    page.goto(f"{address}?tab=metrics")
    expect(page.locator(".la-state")).to_have_text("Live")
    page.get_by_role("link", name="Recover failed since…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Europe/Madrid")
    take(page, "recover")


def spanish(page: Page, address: str) -> None:
    """A webhook's page in the other language."""
    host = urlsplit(page.url).hostname or ""
    page.context.add_cookies([{"name": "language", "value": "es", "domain": host, "path": "/"}])
    page.goto(address)
    take(page, "spanish")
    page.context.clear_cookies(name="language")


def narrow(page: Page, address: str) -> None:
    """What a telephone shows."""
    page.set_viewport_size(_NARROW)
    page.goto(f"{address}?tab=metrics&status=failed")
    expect(page.locator(".la-state")).to_have_text("Live")
    page.locator("#attempts").evaluate("(found) => found.scrollIntoView()")
    take(page, "narrow")
    page.set_viewport_size(_SIZE)


def api_docs(page: Page) -> None:
    """The API to read and to try."""
    page.goto("/api/docs")
    expect(page.get_by_role("heading", name="Portal webhooks")).to_be_visible()
    take(page, "api-docs")


def form(page: Page) -> None:
    """A message that is written beside its preview."""
    page.goto(f"/organizations/{_TROUBLED}/webhooks/new")
    expect(page.locator("json-editor[data-ready]")).to_be_visible()
    page.get_by_label("Event Type").select_option("executed_microservice")
    page.get_by_role("button", name="Slack").click()
    expect(page.locator("template-preview")).to_contain_text("Completed")
    heading = page.get_by_role("heading", name="Message Configuration")
    heading.evaluate("(found) => window.scrollTo(0, found.getBoundingClientRect().top + window.scrollY - 90)")
    take(page, "form")


def attempt(page: Page, address: str) -> None:
    """One that failed, like the one before it, and will be made again."""
    id = failed_twice(page, address)
    page.set_viewport_size(_WINDOW)
    page.goto(f"{address}?tab=metrics&status=failed")
    page.locator(f'live-attempts a[href$="/attempts/{id}"]').click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Attempt 2")).to_be_visible()
    take(page, "attempt")
    page.set_viewport_size(_SIZE)


def failed_twice(page: Page, address: str) -> str:
    """The id of a second attempt of the demonstration's own: of the past, bodies are not known."""
    until = time.monotonic() + _FAILS_TWICE_SECONDS
    while time.monotonic() < until:
        for one in items(page, f"{address.removeprefix('/organizations/')}/attempts?status=failed"):
            if one["attempt"] == 2 and len(one["message_id"]) > len("msg_000000"):
                return str(one["id"])
        time.sleep(1)
    sys.exit("error: nothing has failed twice")


def main() -> None:
    """Take all pictures."""
    expect.set_options(timeout=_SEEN_MS)
    with tempfile.TemporaryDirectory(prefix="pictures-") as directory:
        data_dir = Path(directory)
        with demonstration(data_dir) as url, visitor(url) as page:
            webhooks = {each: items(page, f"{each}/webhooks") for each in (_HEALTHY, _TROUBLED)}
        asyncio.run(record([past_of(one, each) for each, found in webhooks.items() for one in found], data_dir))
        alert = next(one for one in webhooks[_TROUBLED] if one["event_type"] == "active_alert")
        address = f"/organizations/{_TROUBLED}/webhooks/{alert['id']}"
        with demonstration(data_dir) as url:
            ways_in(url)
            with visitor(url) as page:
                overview(page)
                webhook(page, address)
                metrics(page, address)
                recover(page, address)
                form(page)
                attempt(page, address)
                audit(page, address)
                organization_audit(page)
                edit(page, address)
                spanish(page, address)
                narrow(page, address)
                api_docs(page)


if __name__ == "__main__":
    main()
