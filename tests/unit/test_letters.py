"""News by e-mail: what is worth a letter, and how it reads."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from openclaw_hosted.domain.alarms import AlarmState
from openclaw_hosted.domain.instance import Phase
from openclaw_hosted.domain.key_refusal import MAYBE_REFUSED, REFUSED, KeyRefusal, is_over, refused_at
from openclaw_hosted.domain.letters import ITEMS_MOST, PAUSE_SECONDS, Item, Subscription, budget_item, items_of, letter_of
from openclaw_hosted.domain.naming import UserId
from openclaw_hosted.domain.news import News, NewsKind, news_of
from tests.unit.test_lifecycle import an_instance

ADDRESS = "https://claw.example.com"
ADA = Subscription(UserId("u-ada"), "ada@example.com", since=100.0)
RUNNING = replace(an_instance(Phase.PLACING), phase=Phase.RUNNING, phase_changed_at=50.0, name="Work")


@pytest.mark.parametrize("kind", NewsKind, ids=str)
def test_each_kind_of_news_is_put_in_words_with_a_link_and_told_once(kind: NewsKind) -> None:
    news = News(RUNNING, kind, 101.0, "2027.1.0" if kind is NewsKind.UPGRADE else "")
    [item] = items_of(ADA, [news], ADDRESS)
    assert item.subject.startswith("Work ")
    assert f"{ADDRESS}/instances/{RUNNING.id}" in item.text
    assert items_of(replace(ADA, told=(item.mark,)), [news], ADDRESS) == []


def test_what_happened_before_a_user_asked_is_told_only_where_it_still_is_so() -> None:
    before = [News(RUNNING, kind, 99.0) for kind in NewsKind]
    told = {item.subject for item in items_of(ADA, before, ADDRESS)}
    assert told == {"Work has failed", "Work needs another API key", "Work will be upgraded"}


def test_a_letter_says_how_to_end_it_and_stays_short() -> None:
    items = [Item(f"{number:08x}", f"Number {number}", f"Text {number}.") for number in range(ITEMS_MOST + 3)]
    letter = letter_of(ADA, items, ADDRESS)
    assert (letter.to, letter.subject) == ("ada@example.com", f"Number 0, and {ITEMS_MOST + 2} more")
    assert letter.text.count("Text ") == ITEMS_MOST
    assert f"And 3 more: {ADDRESS}/" in letter.text
    assert f"To turn it off: {ADDRESS}/account#news" in letter.text
    named = replace(RUNNING, name="Work\r\nBcc: all@example.com" + "x" * 500)
    letter = letter_of(ADA, items_of(ADA, [News(named, NewsKind.FAILED, 101.0)], ADDRESS), ADDRESS)
    assert "\n" not in letter.subject
    assert len(letter.subject) <= 120


def test_users_rest_between_letters() -> None:
    assert not ADA.rests(1.0)
    told = replace(ADA, last_at=1000.0)
    assert told.rests(1000.0 + PAUSE_SECONDS - 1)
    assert not told.rests(1000.0 + PAUSE_SECONDS)


def test_a_reached_budget_is_told_once_for_each_time() -> None:
    state = AlarmState("over-budget", began_at=5.0)
    [item] = budget_item(ADA, state)
    assert budget_item(replace(ADA, told=(item.mark,)), state) == ()
    assert len(budget_item(replace(ADA, told=(item.mark,)), replace(state, began_at=6.0))) == 1
    assert budget_item(ADA, replace(state, ended_at=6.0)) == ()
    assert budget_item(ADA, None) == ()


def test_a_refused_key_is_found_after_the_last_change_and_ends_with_another_or_with_an_answer() -> None:
    lines = ["1970-01-01 00:00:40 ERROR 401 Incorrect API key provided", "1970-01-01 00:00:49 INFO hello"]
    assert refused_at(lines, RUNNING) is None
    assert refused_at([*lines, "1970-01-01 00:01:00 ERROR [agent] HTTP 401 Unauthorized"], RUNNING) == 60.0
    refusal = KeyRefusal(RUNNING.id, 60.0, tokens=7)
    assert not is_over(refusal, RUNNING, 7)
    assert not is_over(refusal, RUNNING, None)
    assert is_over(refusal, RUNNING, 8)
    assert is_over(refusal, replace(RUNNING, phase_changed_at=61.0), 7)


def test_a_refused_key_and_an_upgrade_are_news_of_what_runs() -> None:
    refusal = KeyRefusal(RUNNING.id, 60.0)
    kinds = [
        news.kind if news else None
        for news in (
            news_of(RUNNING, (), 100.0, refusal, "2027.1.0"),
            news_of(RUNNING, (), 100.0, None, "2027.1.0"),
            news_of(replace(RUNNING, phase=Phase.UPDATING), (), 100.0, refusal, "2027.1.0"),
        )
    ]
    assert kinds == [NewsKind.KEY_REFUSED, NewsKind.UPGRADE, None]


@pytest.mark.parametrize(
    "text",
    [
        "401 Incorrect API key provided", "HTTP 401 Unauthorized", "status=401", "Error: 401", "401: unauthorised", "code 401",
        "invalid_api_key", "Invalid API Key", "invalid-api-key", "invalidApiKey", "incorrect api key", "INCORRECT API KEY",
        "authentication_error", "Authentication_error", "AUTHENTICATION_ERROR", "invalid x-api-key", "API key not valid. Please",
    ],
)  # fmt: skip
def test_a_search_by_the_plain_expression_misses_no_refusal(text: str) -> None:
    assert REFUSED.search(text)
    assert re.search(MAYBE_REFUSED, text)
    assert re.fullmatch(r"[A-Za-z0-9_\-.?|\[\]]+", MAYBE_REFUSED), "as the port says"
