import pytest
from yarl import URL

from dispatcher.delivery.masking import (
    mask_answer_headers,
    mask_bytes,
    mask_text,
    mask_url,
    secrets_of,
)
from dispatcher.webhooks.target_headers import MASK


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8080/hook", "http://127.0.0.1:8080/hook"),
        ("https://itsm.example/api/v2/tickets", "https://itsm.example/api/v2/tickets"),
        (
            "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXXXXXXXXXX",
            f"https://hooks.slack.com/services/T000/B000/{MASK}",
        ),
        (
            "https://x.webhook.office.com/webhookb2/11111111-2222-3333@44/In/0123456789abcdef0123456789abcdef/1",
            f"https://x.webhook.office.com/webhookb2/{MASK}/In/{MASK}/1",
        ),
        (
            "https://x.logic.azure.com/invoke?api-version=1&sig=abc",
            f"https://x.logic.azure.com/invoke?api-version={MASK}&sig={MASK}",
        ),
        ("https://x.example/hook?0123456789abcdef0123456789abcdef&v", f"https://x.example/hook?{MASK}&v"),
    ],
)
def test_what_is_secret_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert mask_url(URL(url, encoded=True)) == shown


def test_an_answers_headers_are_masked_joined_and_cut() -> None:
    headers = [("Set-Cookie", "s=1"), ("Vary", "a"), ("vary", "b"), ("X-Huge", "x" * 100), ("After", "y")]
    assert mask_answer_headers(headers, limit=60) == {"set-cookie": MASK, "vary": "a, b"}


def test_what_is_secret_of_a_webhook_is_found_wherever_it_turns_up() -> None:
    url = URL("https://hooks.slack.com/services/T0/B0/XXXXXXXXXXXXXXXXXXXXXXXX?sig=abcdefgh%2F", encoded=True)
    secrets = secrets_of(url, {"Authorization": "Bearer abc/def/ghi", "X-Short": "on"})
    for shown in ("Bearer abc/def/ghi", "<abc/def/ghi>", r'{"a":"Bearer abc\/def\/ghi"}', "sig abcdefgh/ X" + 23 * "X"):
        masked = mask_text(shown, secrets)
        assert MASK in masked
        assert not any(secret in masked for secret in ("def", "abcdefgh", "XXXX"))
    assert mask_text("on the whole, Bearer", secrets) == "on the whole, Bearer"


def test_words_and_numbers_are_secret_where_the_header_s_name_tells_so() -> None:
    headers = {"X-Team": "Contoso", "X-Enabled": "true", "X-Pin": "4711", "X-Year": "2026", "X-Other": "s3cr3t"}
    answer = b'{"team":"Contoso","ok":true,"pin":"4711","in":2026,"other":"s3cr3t"}'
    masked = mask_bytes(answer, secrets_of(URL("https://x.example/"), headers), cut=False).decode()
    assert masked == f'{{"team":"Contoso","ok":true,"pin":"{MASK}","in":2026,"other":"{MASK}"}}'


@pytest.mark.parametrize("query", ["sig=ab%2Fcdefgh%3D", "0123456789abcdef0123456789abcdef"])
def test_what_is_secret_in_a_query_is_found_as_it_was_sent(query: str) -> None:
    secrets = secrets_of(URL(f"https://x.example/hook?{query}", encoded=True), {})
    shown = mask_text(f"redirect (302) to https://elsewhere.example/hook?{query} not followed", secrets)
    assert MASK in shown
    assert "cdefgh" not in shown
    assert "0123456789" not in shown


def test_a_secret_that_is_cut_off_is_masked_too() -> None:
    secrets = ("Bearer abcdefghij",)
    assert mask_bytes(b"you sent Bearer abcdefghij.", secrets, cut=False) == f"you sent {MASK}.".encode()
    assert mask_bytes(b"you sent Bearer abcd", secrets, cut=True) == b"you sent "
    assert mask_bytes(b"you sent Bearer abcd", secrets, cut=False) == b"you sent Bearer abcd"


def test_bytes_of_an_answers_headers_that_are_no_utf_8_are_replaced() -> None:
    headers = [("X-Name", "caf\udce9"), ("X-Other", "café")]
    assert mask_answer_headers(headers) == {"x-name": "caf\ufffd", "x-other": "café"}
