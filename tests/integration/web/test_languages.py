"""Users' pages in another language: who gets which, and that all of a page is in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from openclaw_hosted.domain.account import User
from openclaw_hosted.domain.actor import SETUP
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.web.language import ENGLISH, LANGUAGES, accepted
from tests.integration.web.conftest import PAGE, World, a_sender

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
SAME = frozenset({
    "OpenClaw", "Hosted", "Laptop", "Android", "macOS", "Windows", "Linux", "Firefox", "iPhone", "Webhooks", "Pool", "Tokens", "Name",
    "Echo", "Anthropic", "OpenAI", "OpenRouter", "Google", "Telegram", "Discord", "Slack", "English", "Deutsch", "My assistant", "Admin",
})  # fmt: skip
"""Names, and words that are the same."""
CODES = re.compile(
    r"^(oc-\w+|https?://\S+|\S+@\S+|OpenClaw Hosted 1\.2\.3|tar -czf .*|openclaw-hosted .*|OTHER_URLS|[\W\d]*|[\d.,]+ \w{1,3})$"
)


class Visible(HTMLParser):
    """What a reader sees or hears of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: set[str] = set()
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style", "code")
        self._take(*(value for name, value in attrs if name in ("aria-label", "placeholder", "title", "alt")))

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style", "code")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._take(data)

    def _take(self, *texts: str | None) -> None:
        self.texts.update(text.removesuffix(" · OpenClaw Hosted").strip(" \n.,:·—←") for text in texts if text)


def left_in_english(english: str, german: str) -> set[str]:
    """Texts that both pages show, but for names and codes."""
    both = Visible(english).texts & Visible(german).texts
    return {text for text in both - SAME if not CODES.match(text)}


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "en"), ("de", "de"), ("DE-ch", "de"), ("fr,de;q=0.5", "de"), ("en-GB,en;q=0.9,de;q=0.8", "en"), ("en;q=0.2,de", "de"),
        ("de;q=0", "en"), ("de;q=x,,;;", "en"), ("fr", "en"), ("*", "en"), ("x" * 10_000 + ",de", "en"),
    ],
)  # fmt: skip
def test_a_browser_says_what_it_understands(header: str, code: str) -> None:
    assert accepted(header).code == code


async def test_the_choice_of_the_visitor_comes_before_the_browsers(world: World, ada: User) -> None:
    async with world.client(**PAGE, **GERMAN) as client:
        page = (await client.get("/sign-in")).text
        assert '<html lang="de">' in page
        assert "Anmelden" in page
        chosen = await client.post("/language", data={"language": "en", "next": "/sign-in"})
        assert (chosen.status_code, chosen.headers["location"]) == (303, "/sign-in")
        assert '<html lang="en">' in (await client.get("/sign-in")).text
        unknown = await client.post("/language", data={"language": "xx", "next": "//elsewhere.example"})
        assert unknown.headers["location"] == "/"
        assert "set-cookie" not in unknown.headers
        foreign = await client.post("/language", data={"language": "de"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 403
    async with world.browser(ada) as browser:
        await browser.post("/language", language="de", next="/account")
        assert "<h1>Konto</h1>" in (await browser.get("/account")).text


async def test_an_operators_pages_and_the_api_stay_english(world: World, admin: User) -> None:
    async with world.browser(admin) as browser:
        page = await browser.get("/admin/users", **GERMAN)
        assert '<html lang="en">' in page.text
        assert "Users" in page.text
        missing = await browser.client.get("/api/v1/instances/oc-22222222", headers={**GERMAN, "X-CSRF-Token": browser.csrf})
        assert "There is no instance" in missing.json()["detail"]


async def test_no_english_is_left_on_pages_of_strangers(world: World) -> None:
    secret = await world.kit.accounts.setup_link(SETUP)
    await _compare(world, None, ["/sign-in", f"/setup/{secret}", "/setup/wrong", "/nowhere"])
    await world.user("ada")
    await _compare(world, None, ["/sign-in", "/trust"])


async def test_no_english_is_left_on_pages_of_a_user(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create(channels="telegram", telegramBotToken="4242:AAExampleTokenOfATestBot-0123456789abcd")
        await world.run(instance_id)
        world.edge.senders["r1"], world.edge.log = a_sender("r1", "4711"), ["4711"]
        await browser.post(f"/instances/{instance_id}/restore-points")
        at = f"/instances/{instance_id}"
        paths = ["/", "/account", "/account?done=saved", "/account/webhooks", "/instances/new", "/instances/bring", f"/{instance_id}/"]
        paths += [at, f"{at}/settings", f"{at}/logs", f"{at}/logs?search=none", f"{at}/senders", "/instances/oc-22222222"]
        await _compare(world, ada, paths)
        for phase in (Phase.PENDING, Phase.PLACING, Phase.UPDATING, Phase.RESTORING, Phase.REPLACING, Phase.FAILED, Phase.DELETING):
            await world.put(instance_id, phase=phase)
            await _compare(world, ada, [at, f"/{instance_id}/"])
        await world.put(instance_id, phase=Phase.RUNNING)
        await browser.post(f"{at}/delete", typed_name="My assistant")
        await world.put(instance_id, phase=Phase.DELETED, purge_after=world.clock.at + 1000)
        await _compare(world, ada, ["/", at, f"/{instance_id}/"])


async def test_what_forms_answer_is_german_too(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        browser.client.cookies.set("language", "de")
        refused = await browser.post("/instances", name="x", provider="anthropic")
        assert "Nichts wurde gespeichert." in refused.text
        assert "Dieser Anbieter braucht einen API-Schlüssel." in refused.text
        wrong = await browser.post("/account/password", current_password="x", password="short", password_again="short")
        assert "Nimm mindestens 10 Zeichen." in wrong.text
        instance_id = await browser.create()
        wrong = await browser.post(f"/instances/{instance_id}/delete", typed_name="x")
        assert "Gib den Namen genau so ein, wie er dasteht: My assistant" in wrong.text


async def test_the_live_part_of_a_page_is_in_its_language(world: World, ada: User) -> None:
    async with world.browser(ada) as browser:
        instance_id = await browser.create()
        await world.run(instance_id)
        page = (await browser.get(f"/instances/{instance_id}", **GERMAN)).text
        address = re.search(r'data-live="([^"]+)"', page)
        assert address is not None
        part = (await browser.get(address[1], **GERMAN)).text
        assert "Läuft" in part
        assert "Maschine finden" in part


def test_times_and_amounts_are_put_as_the_language_has_them() -> None:
    german = LANGUAGES["de"]
    assert german.moment(1_790_000_000.0) == "21. September 2026, 14:13 UTC"
    assert ENGLISH.moment(1_790_000_000.0) == "21 September 2026, 14:13 UTC"
    assert (german.duration(1.25), ENGLISH.duration(1.25), german.duration(185)) == ("1,2 s", "1.2 s", "3 min 5 s")
    assert (german.about(23), ENGLISH.about(100)) == ("25 Sekunden", "2 minutes")
    assert (german.age(90_000), german.age(3), ENGLISH.age(7300)) == ("1 Tag", "weniger als einer Minute", "2 hours")
    assert (german.every(24), german.every(1.5), ENGLISH.every(12)) == ("jeden Tag", "alle 1,5 Stunden", "every 12 hours")
    assert (german.number(12_345), german.bytes(1_300_000_000), german.gigabytes(12_300_000_000)) == ("12.345", "1,3 GB", "12,3 GB")


def test_a_text_with_values_in_it_is_found() -> None:
    german = LANGUAGES["de"]
    assert german.say("Use at most 80 characters; this has 90.") == "Nimm höchstens 80 Zeichen; das sind 90."
    assert german.say("Its state is “Starting”. It opens once that is “Running”.").count("Startet") == 1
    assert german.say("Something that nobody foresaw {}") == "Something that nobody foresaw {}"
    assert german.say(None) == german.say("") == ""


async def _compare(world: World, user: User | None, paths: list[str]) -> None:
    for path in paths:
        english, german = await _get(world, user, path, {}), await _get(world, user, path, GERMAN)
        assert '<html lang="de">' in german, path
        assert left_in_english(english, german) == set(), path


async def _get(world: World, user: User | None, path: str, headers: dict[str, str]) -> str:
    if user is None:
        async with world.client(**PAGE) as client:
            return (await client.get(path, headers=headers)).text
    async with world.browser(user) as browser:
        return (await browser.get(path, **headers)).text
