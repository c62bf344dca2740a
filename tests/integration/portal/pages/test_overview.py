"""The main screen."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from dispatcher.recording.clickhouse import ClickHouse
from tests.support.clickhouse import ON_A_SERVER_TOO, insert, outcome
from tests.support.portal import Api
from tests.support.visitor import Shown, Visitor

pytestmark = ON_A_SERVER_TOO


def names_in(page: Shown) -> list[str]:
    return [part.split("</a>")[0] for part in page.html.split('class="row-link"')[1:]]


def names_of(page: Shown) -> list[str]:
    return re.findall(r'class="row-link"[^>]*><bdi>(.*?)</bdi>', page.html)


def order(page: Shown, *names: str) -> list[str]:
    places = {name: page.html.find(f"<bdi>{name}</bdi></a>") for name in names}
    assert -1 not in places.values(), places
    return sorted(names, key=lambda name: places[name])


async def test_without_webhooks_it_says_what_to_do(visitor: Visitor) -> None:
    page = await visitor.sign_in()
    assert "No webhooks yet" in page.text
    assert f'{visitor.webhooks}/new"' in page.html


async def test_the_table_has_name_event_type_target_url_and_status(visitor: Visitor, api: Api) -> None:
    webhook = await api.create(name="Tickets & <i>more</i>", target_url="https://a.example/?x=1&y=2")
    await api("POST", f"/webhooks/{webhook['id']}/enable")
    page = await visitor.sign_in()
    for text in ("Name", "Event Type", "Target URL", "Status", "Active alert", "https://a.example/?x=1&y=2", "Enabled"):
        assert text in page.text
    assert "Tickets &amp; &lt;i&gt;more&lt;/i&gt;" in page.html
    assert f'href="{visitor.webhooks}/{webhook["id"]}"' in page.html


async def test_searching_filtering_and_sorting_are_in_the_address(visitor: Visitor, api: Api) -> None:
    first = await api.create(name="beta", target_url="https://z.example/")
    await api.create(name="Alpha", target_url="https://y.example/", event_type="object_created")
    await api.create(name="gamma", target_url="https://x.example/")
    await api("POST", f"/webhooks/{first['id']}/enable")
    page = await visitor.sign_in()
    assert order(page, "beta", "Alpha", "gamma") == ["Alpha", "beta", "gamma"]
    for query, expected in {
        "sort=-name": ["gamma", "beta", "Alpha"],
        "sort=target_url": ["gamma", "Alpha", "beta"],
        "sort=status": ["beta", "Alpha", "gamma"],
        "sort=-status": ["Alpha", "gamma", "beta"],
        "sort=event_type": ["beta", "gamma", "Alpha"],
    }.items():
        assert order(await visitor.get(f"{visitor.webhooks}?{query}"), "beta", "Alpha", "gamma") == expected, query
    assert len(names_in(await visitor.get(f"{visitor.webhooks}?search=Y.EXAMPLE"))) == 1
    assert len(names_in(await visitor.get(f"{visitor.webhooks}?event_type=active_alert&status=disabled"))) == 1
    long = await api.create(name="long", target_url=f"https://w.example/{'x' * 500}")
    assert names_of(await visitor.get(f"{visitor.webhooks}?search={long['target_url']}")) == ["long"]
    page = await visitor.get(f"{visitor.webhooks}?search=nothing&sort=-name")
    assert "No webhook matches" in page.text


async def test_accents_neither_hide_a_name_nor_put_it_last(visitor: Visitor, api: Api) -> None:
    for number, name in enumerate(("Zona", "Ámbito", "Nube")):
        await api.create(name=name, target_url=f"https://{number}.example/")
    await visitor.sign_in()
    assert names_of(await visitor.get(visitor.webhooks)) == ["Ámbito", "Nube", "Zona"]
    assert names_of(await visitor.get(f"{visitor.webhooks}?sort=-name")) == ["Zona", "Nube", "Ámbito"]
    assert names_of(await visitor.get(f"{visitor.webhooks}?search=AMBITO")) == ["Ámbito"]
    assert [one["name"] for one in (await api("GET", "/webhooks?search=ambito")).body["items"]] == ["Ámbito"]


@pytest.mark.parametrize(
    "query",
    [
        "utm_source=mail",
        "sort=password",
        "status=gone",
        "event_type=nonsense",
        "page=0",
        "page=last&sort=-&limit=x",
        f"search={'x' * 2049}",
    ],
)
async def test_a_parameter_that_means_nothing_is_as_if_it_were_not_there(
    visitor: Visitor, api: Api, query: str
) -> None:
    for name in ("beta", "Alpha"):
        await api.create(name=name, target_url=f"https://{name}.example/")
    await visitor.sign_in()
    page = await visitor.get(f"{visitor.webhooks}?{query}")
    assert page.status == 200
    assert order(page, "beta", "Alpha") == ["Alpha", "beta"]


async def test_each_webhook_has_its_success_rate(visitor: Visitor, api: Api, clickhouse: ClickHouse) -> None:
    good, bad = await api.create(name="good"), await api.create(name="bad", target_url="https://other.example/")
    now = datetime.now(UTC)
    long_ago = int((now - timedelta(days=40)).timestamp() * 1000)
    lately = int((now - timedelta(hours=1)).timestamp() * 1000)
    await insert(
        clickhouse,
        [
            *(outcome(f"g{n}", 1, "successful", at=lately, webhook_id=good["id"]) for n in range(3)),
            outcome("g9", 8, "failed", at=lately, webhook_id=good["id"]),
            outcome("old", 1, "failed", at=long_ago, webhook_id=good["id"]),
            outcome("b1", 8, "failed", at=lately, webhook_id=bad["id"]),
        ],
    )
    page = await visitor.sign_in()
    assert "75%" in page.text
    assert "3 successful, 1 failed" in page.html
    assert order(await visitor.get(f"{visitor.webhooks}?sort=success_rate"), "good", "bad") == ["bad", "good"]


async def test_the_page_is_there_at_once_and_how_deliveries_went_follows(visitor: Visitor, api: Api) -> None:
    made = [await api.create(name=name, target_url=f"https://{name}.example/") for name in ("good", "bad")]
    await visitor.sign_in()
    visitor.headers["Sec-Fetch-Mode"] = "navigate"
    page = await visitor.get(visitor.webhooks)
    assert order(page, "good", "bad") == ["bad", "good"]
    for webhook in made:
        assert f'data-part="rate-{webhook["id"]}" data-deferred' in page.html
    assert "No messages" not in page.text
    # Without script, the browser goes on to the whole page by itself.
    assert f'content="0; url={visitor.webhooks}?whole=yes"' in page.html
    whole = await visitor.get(f"{visitor.webhooks}?whole=yes")
    assert (whole.text.count("No messages"), "data-deferred" in whole.html, "http-equiv" in whole.html) == (
        2,
        False,
        False,
    )
    assert re.findall(r'(?:href|action|value)="[^"]*whole[^"]*"', whole.html) == []

    # What there is to say is said there too, and then no more.
    gone = await visitor.post(f"{visitor.webhooks}/{made[0]['id']}/delete", {"csrf": whole.csrf})
    said = "The webhook is deleted."
    assert (gone.url, said in gone.text) == (visitor.webhooks, True)
    assert [said in (await visitor.get(f"{visitor.webhooks}?whole=yes")).text for _ in range(2)] == [True, False]

    # With script, what follows comes alone, and is what the whole page has.
    part = await visitor.get(visitor.webhooks, X_Page_Part="deliveries")
    for webhook in made[1:]:
        [follows] = re.findall(
            rf'<span class="rate" data-part="rate-{webhook["id"]}">.*?\n</span>', part.html, re.DOTALL
        )
        assert "".join(follows.split()) in "".join(whole.html.split())
    assert [said in part.html for said in ("<main", "row-link", "data-deferred")] == [False] * 3

    page = await visitor.get(f"{visitor.webhooks}?sort=success_rate")
    part = await visitor.get(f"{visitor.webhooks}?sort=success_rate", X_Page_Part="deliveries")
    assert ('<tbody data-part="rows">' in part.html, "<main" in part.html, len(names_in(part))) == (True, False, 1)
    assert ('data-part="rows" data-deferred' in page.html, names_in(page)) == (True, [])
    assert "data-deferred" not in (await visitor.get(f"{visitor.webhooks}?search=nothing")).html


async def test_many_webhooks_are_shown_in_pages(visitor: Visitor, api: Api) -> None:
    await asyncio.gather(
        *(
            api.create(name=f"webhook {number:03}", target_url=f"https://target.example/{number}")
            for number in range(230)
        )
    )
    page = await visitor.sign_in()
    assert len(names_in(page)) == 50
    assert "Page 1 of 5" in page.text
    page = await visitor.get(f"{visitor.webhooks}?page=5&sort=-name")
    assert len(names_in(page)) == 30
    assert "webhook 000" in page.text
    assert len(names_in(await visitor.get(f"{visitor.webhooks}?page=99"))) == 30
