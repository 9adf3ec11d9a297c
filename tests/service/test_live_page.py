import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from service.live_lab import flowing, gathered, held, served
from streamgap.service.live import LiveFeed
from streamgap.service.live_view import Coverage

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
CHROMIUM = os.environ.get("STREAMGAP_CHROMIUM", "/usr/bin/chromium")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"></text><script>document.title='owned'</script>"
CONTRASTS = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (color) => {
    const [r, g, b] = channels(color).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("h1, h2, p, dt, dd, th, td, span, b, button")].map((element) => {
    const ink = light(getComputedStyle(element).color);
    return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
  });
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """Open the page in a fresh context; anything it logs or throws fails the test."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(url)
    yield page
    await context.close()
    assert complaints == []


async def test_the_page_shows_streams_as_they_join(browser: Browser) -> None:
    """What was joined before stands there, what joins later comes by itself, with its numbers and verdict."""
    feed = LiveFeed(coverage=lambda: Coverage(finished=8, joined=2))
    feed.emit(flowing("/before"))
    async with served(feed) as url, opened(browser, url) as page:
        await expect(page.locator("#streams li")).to_have_count(1)
        await expect(page.locator("#connection")).to_have_text("live")
        feed.emit(held("/after"))
        await expect(page.locator("#streams li")).to_have_count(2)
        await expect(page.locator("#streams li").first).to_contain_text(re.compile(r"held.*/after.*2\.20\ss.*2\.16\ss"))
        await expect(page.locator("#hero-title")).to_contain_text("/after")
        await expect(page.locator("#hero-chart .stairs")).to_have_count(2)
        await expect(page.locator("#hero-chart .span-label")).to_have_text(
            [re.compile("gap 2.20"), re.compile("hold 2.16")]
        )
        await expect(page.locator("#coverage")).to_have_text("25 %")
        await expect(page.locator("#verdict-counts li")).to_have_text(["held1", "flowing1"])
        await expect(page.locator("#routes th")).to_have_text(["/after", "/before"])


async def test_the_spans_drawn_are_the_numbers_written(browser: Browser) -> None:
    """On the chart's own axis the bars of gap and hold are as long as gap and hold."""
    feed = LiveFeed()
    feed.emit(held())
    async with served(feed) as url, opened(browser, url) as page:
        await expect(page.locator("#hero-chart .span")).to_have_count(2)
        widths = await page.locator("#hero-chart .span").evaluate_all("bars => bars.map((bar) => bar.getBBox().width)")
        stairs = await page.locator("#hero-chart .stairs.client").evaluate("path => path.getBBox().width")
    assert [width / stairs * 3190 for width in widths] == pytest.approx([2200, 2160], rel=0.01)


async def test_a_held_stream_says_by_what_and_where_to_read_of_it(browser: Browser) -> None:
    """The likely mechanism stands under the verdict with a link to its page, and is counted beside the verdicts."""
    feed = LiveFeed()
    async with served(feed) as url, opened(browser, url) as page:
        feed.emit(flowing())
        await expect(page.locator("#hero-title")).to_contain_text("flowing")
        await expect(page.locator("#hero-mechanism")).to_be_hidden()
        await expect(page.locator("#held-by")).to_be_hidden()
        feed.emit(gathered())
        mechanism = page.locator("#hero-mechanism")
        await expect(mechanism).to_have_text("SG101 Likely: the whole response is held until its end.")
        await expect(mechanism.locator("a")).to_have_attribute("href", re.compile(r"^https://.+/docs/codes/SG101\.md$"))
        await expect(page.locator("#mechanism-counts li")).to_have_text(["whole response1"])
        await expect(page.locator("#hero-chart")).to_have_attribute("aria-label", re.compile("whole response is held"))


async def test_a_hostile_route_is_shown_and_not_obeyed(browser: Browser) -> None:
    """Markup in a name is text on the page, wherever the name appears."""
    feed = LiveFeed()
    feed.emit(flowing(HOSTILE, model=HOSTILE))
    async with served(feed) as url, opened(browser, url) as page:
        for place in ("#streams .route", "#hero-title .route", "#hero-title .soft", "#routes th"):
            await expect(page.locator(place)).to_have_text(HOSTILE)
        assert await page.locator("img").count() == 0
        assert await page.title() == "streamgap · live"


async def test_a_pinned_stream_stays_until_the_reader_follows_again(browser: Browser) -> None:
    """By keyboard alone a stream can be held on the large chart while others come, and let go."""
    feed = LiveFeed()
    feed.emit(flowing("/first"))
    feed.emit(flowing("/second"))
    async with served(feed) as url, opened(browser, url) as page:
        await page.locator("#streams button").last.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("#hero-title")).to_contain_text("/first")
        feed.emit(flowing("/third"))
        await expect(page.locator("#streams li")).to_have_count(3)
        await expect(page.locator("#hero-title")).to_contain_text("/first")
        await page.locator("#follow").press("Enter")
        await expect(page.locator("#hero-title")).to_contain_text("/third")


async def test_pointing_at_the_chart_reads_both_staircases(browser: Browser) -> None:
    """At any moment the page says how much was written and how much was here."""
    feed = LiveFeed()
    feed.emit(held())
    async with served(feed) as url, opened(browser, url) as page:
        await expect(page.locator("#hero-chart .stairs")).to_have_count(2)
        box = await page.locator("#hero-chart").bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
        await expect(page.locator("#readout")).to_have_text(re.compile(r"1\.\d\d\ss: \d\d written, 0 here"))
        at_s, written = re.findall(r"[\d.]+", await page.locator("#readout").inner_text())[:2]
    assert int(written) == pytest.approx((float(at_s) - 0.2) / 0.05 + 1, abs=1)


async def test_an_empty_page_says_what_to_do(browser: Browser) -> None:
    """Before the first joined stream the page explains both halves, and which one is missing."""
    feed = LiveFeed(coverage=lambda: Coverage(finished=12, joined=0))
    async with served(feed) as url, opened(browser, url) as page:
        await expect(page.locator("#empty")).to_contain_text("No stream has been joined yet")
        await expect(page.locator("#empty-hint")).to_contain_text("finished 12 streams, but no browser reported")
        feed.emit(flowing())
        await expect(page.locator("#empty")).to_be_hidden()


async def test_light_and_dark_follow_the_system_and_fit_a_phone(browser: Browser) -> None:
    """Both themes differ, each is readable (WCAG AA), and at 390 px nothing sticks out sideways."""
    feed = LiveFeed()
    feed.emit(held("/a/long/route/{with}/many/{parts}/that/does/not/fit"))
    grounds = []
    async with served(feed) as url:
        for scheme in ("light", "dark"):
            phone = {"width": 390, "height": 844}
            async with opened(browser, url, color_scheme=scheme, viewport=phone) as page:
                await expect(page.locator("#streams li")).to_have_count(1)
                assert await page.evaluate("document.documentElement.scrollWidth") <= 390
                grounds.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
                assert min(await page.evaluate(CONTRASTS)) >= 4.5
    assert grounds[0] != grounds[1]


async def test_the_page_says_when_it_is_cut_off_and_comes_back(browser: Browser) -> None:
    """While the service is away the page says so; when it is back it shows the new service's streams."""
    before, after = LiveFeed(), LiveFeed()
    before.emit(flowing("/before"))
    after.emit(flowing("/after", sid="stream-0002"))
    context = await browser.new_context()
    page = await context.new_page()
    async with served(before) as url:
        await page.goto(url)
        await expect(page.locator("#connection")).to_have_text("live")
    await expect(page.locator("#connection")).to_have_text("reconnecting")
    async with served(after, port=httpx2.URL(url).port or 0):
        await expect(page.locator("#connection")).to_have_text("live")
        await expect(page.locator("#streams .route")).to_have_text("/after")
    await context.close()
