import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.webhooks.target_url import MAX_LENGTH, check_target_url, same_target


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/"),
        ("HTTP://Example.COM:8080/Path?Q=a#"[:-1], "http://example.com:8080/Path?Q=a"),
        ("http://127.0.0.1:9/hook", "http://127.0.0.1:9/hook"),
        ("http://0x7f.1/", "http://0x7f.1/"),
        ("http://my_service.internal./x", "http://my_service.internal./x"),
        ("https://[2001:DB8::1]:443/x", "https://[2001:db8::1]:443/x"),
        ("https://bücher.example/größe?q=ü", "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe?q=%C3%BC"),
        ("https://例え.テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        (
            "https://h/a%2Fb?sp=%2Ftriggers%2Fmanual&sig=a%2Bb==&x={1}",
            "https://h/a%2Fb?sp=%2Ftriggers%2Fmanual&sig=a%2Bb==&x=%7B1%7D",
        ),
        ("https://h?x", "https://h?x"),
        ("https://h/?", "https://h/?"),
        ("https://h//a;b/@c:d", "https://h//a;b/@c:d"),
    ],
)
def test_returns_the_url_as_it_is_called(text: str, called: str) -> None:
    assert check_target_url(text) == called
    assert check_target_url(called) == called


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "starts with https"),
        ("example.com/hook", "starts with https"),
        ("ftp://example.com", "starts with https"),
        ("javascript:alert(1)", "starts with https"),
        ("https:example.com", "starts with https"),
        ("https:///path", "no host"),
        ("https://:80/", "no host"),
        ("https://user:pass@example.com/", "credentials"),
        ("https://@example.com/", "credentials"),
        ("https://example.com:99999/", "port"),
        ("https://example.com:0/", "port"),
        ("https://example.com:/", "port"),
        ("https://example.com:x/", "port"),
        ("https://example.com/#top", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://exa mple.com/", "spaces"),
        (" https://example.com/", "spaces"),
        ("https://example.com/\r\nx", "spaces"),
        ("https://example.com/\x00", "spaces"),
        ("https://good.com\\@evil.com/", "backslashes"),
        ("https://example.com/\ud83d", "invisible"),
        ("https://[::1/", "host"),
        ("https://[::g]/", "host"),
        ("https://[::1]evil.com:80/", "host"),
        ("https://evil.com[::1]/", "host"),
        ("https://[v1.a]/", "host"),
        ("https://[127.0.0.1]/", "host"),
        ("https://[fe80::1%25eth0]/", "host|zone"),
        ("https://-.com/", "valid name"),
        ("https://a..b/", "valid name"),
        ("https://a%2eb/", "valid name"),
        ("https://" + "a" * 64 + ".com/", "valid name"),
        ("https://\u2488.com", "host"),
        ("https://h/" + "a" * MAX_LENGTH, "longer"),
        ("https://h/" + "é" * (MAX_LENGTH // 3), "longer"),
    ],
)
def test_refuses_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_target_url(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.com", "http://example.com/"),
        ("http://example.com:80", "http://example.com/"),
        ("https://example.com:443/hook?a=b", "https://example.com/hook?a=b"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]/"),
        ("https://h?x", "https://h/?x"),
    ],
)
def test_one_target_in_two_spellings(one: str, other: str) -> None:
    assert same_target(one, other)
    assert same_target(other, one)


@pytest.mark.parametrize(
    "other",
    [
        "http://example.com/hook",
        "https://example.com:80/hook",
        "https://example.com/hook/",
        "https://example.com/Hook",
        "https://example.com/hook?",
        "https://example.com/hook?a",
        "https://www.example.com/hook",
    ],
)
def test_another_target(other: str) -> None:
    assert not same_target("https://example.com/hook", other)


@given(st.text(st.characters(), max_size=30))
def test_whatever_comes_is_ascii_or_refused(text: str) -> None:
    for candidate in (text, f"https://{text}", f"https://host/{text}"):
        try:
            called = check_target_url(candidate)
        except ValueError as error:
            assert str(error)  # noqa: PT017 — both outcomes are right
        else:
            assert called.isascii()
            assert called.isprintable()
            assert check_target_url(called) == called
