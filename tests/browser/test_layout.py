"""Nothing jumps while a page comes: what arrives later has its place already."""

import pytest
from playwright.async_api import expect

from dispatcher.kafka.clients import KafkaClients
from dispatcher.kafka.topics import Topics
from tests.support.browsing import WEBHOOKS, Person, happen
from tests.support.portal import Api
from tests.support.target import Target

# Chromium's own measure (cumulative layout shift); from 0.1 on a page counts as one that needs improvement.
MOST = 0.02

WATCH = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const one of list.getEntries()) {
            const nodes = one.sources.map(({ node }) => node?.className || node?.id || node?.nodeName).join(" ");
            if (!one.hadRecentInput) window.shifts.push([one.value, nodes]);
        }
    }).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.usefixtures("delivering")
@pytest.mark.parametrize("width", [400, 1400])
async def test_nothing_jumps(
    person: Person, api: Api, target: Target, clients: KafkaClients, topics: Topics, width: int
) -> None:
    webhook = (await api.create(target_url=target.url("hook"), headers={"X-Key": "hush"}))["id"]
    await api("POST", f"/webhooks/{webhook}/enable")
    page = person.page
    await page.set_viewport_size({"width": width, "height": 900})
    await page.context.add_init_script(WATCH)
    await person.sign_in()
    await happen(clients, topics, *(f"event-{number}" for number in range(12)))
    await page.goto(f"{WEBHOOKS}/{webhook}?tab=metrics")
    await expect(page.locator("live-attempts tbody tr")).to_have_count(12)
    found: list[str] = []
    for path, ready in (
        ("", "tbody tr"),
        ("/new", "json-editor[data-ready]"),
        ("/new?event_type=operation_executed", "json-editor[data-ready]"),
        (f"/{webhook}", ".template"),
        (f"/{webhook}/edit", "json-editor[data-ready]"),
        (f"/{webhook}?tab=metrics", "live-attempts tbody tr >> nth=11"),
        (f"/{webhook}?tab=audit", "tbody tr >> nth=1"),
    ):
        await page.goto(f"{WEBHOOKS}{path}")
        await expect(page.locator(ready).first).to_be_visible()
        await page.wait_for_load_state("networkidle" if "metrics" not in path else "load")
        # Two frames later, what was loaded is drawn.
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        shifts = await page.evaluate("window.shifts")
        total = sum(value for value, _ in shifts)
        if total > MOST:
            found.append(f"{path or 'overview'} at {width}: {total:.3f} {shifts}")
    assert not found, "\n".join(found)

    # What does jump is noticed.
    await page.evaluate("""() => {
        const late = document.createElement("div");
        late.style.height = "200px";
        document.querySelector("main").prepend(late);
    }""")
    await page.wait_for_function("most => window.shifts.some(([value]) => value > most)", arg=MOST)
