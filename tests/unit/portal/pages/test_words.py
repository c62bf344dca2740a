"""What the API and the senders say in English is said on the pages in sentences of every language."""

import ast
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

import dispatcher
from dispatcher.delivery import failures
from dispatcher.delivery.guard import NOT_PERMITTED
from dispatcher.portal.auth import _REASONS
from dispatcher.portal.pages.errors_in_words import in_words
from dispatcher.portal.pages.failures_in_words import failed_test_in_words, failure_in_words, was_too_large
from dispatcher.portal.pages.languages import Language, language
from dispatcher.portal.pages.problems_in_words import disabled_in_words, problem_in_words
from dispatcher.webhooks.failing import Failing

Said = Callable[[Language], str]

A_DAY = timedelta(days=1)
SOURCES = Path(dispatcher.__file__).parent

# No page can meet with these: they are about bodies, headers and requests that only programs write.
ONLY_PROGRAMS = (
    "Send the body as JSON",
    "The body is not JSON",
    "The request line, or a header, is too long",
    "What was sent is not a request that HTTP/1.1 knows",
    "If-Match is no ETag",
    "Expect asks for",
)


# What is left open in these is one of a few words, each of which is tried by itself below.
PARTS = (
    "There is no such 7 in this organization.",
    "the egress proxy cannot be used: 7",
    "the target cannot be reached: 7",
)


def sentences(function: str, *, argument: int, under: str) -> Iterator[str]:
    """What calls of a function are given as text; what differs is 7."""
    for path in sorted((SOURCES / under).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
                for text in [_text(one) for one in node.args[argument : argument + 1]]:
                    if text is not None and text not in PARTS:
                        yield text


def _text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(parts) if isinstance(parts[0], ast.Constant):
            return "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in parts)
    return None


PROBLEMS = sorted(
    {
        *sentences("Problem", argument=1, under="portal"),
        *(
            f"{reason}. Sign in again, or get a new token."
            for reason in sentences("_unauthorized", argument=0, under="portal")
        ),
        *(f"{reason}. Sign in again, or get a new token." for _, reason in _REASONS),
        *(
            f"{what} does not answer at the moment. Try again soon."
            for what in sentences("_away", argument=0, under="portal")
        ),
        *(f"{what} Try again soon." for what in sentences("_later", argument=0, under="portal")),
        *(
            f"There is no such {what} in this organization."
            for what in sentences("not_found", argument=0, under="portal")
        ),
        "GET means nothing here; allowed: POST.",
        "10 tests of this organization's webhooks are going on already. Wait until one has ended.",
        "That was more than 60 requests in 60 s. Wait, then go on more slowly.",
        "The token has no claim exp. Sign in again, or get a new token.",
        "The token is not a valid JWT. Sign in again, or get a new token.",
    }
)

FAILURES = sorted(
    {
        *sentences("Failure", argument=1, under="delivery"),
        *failures._CERTIFICATE.values(),
        *failures._TLS.values(),
        *(f"the target cannot be reached: {why}" for why in failures._UNREACHABLE.values()),
        NOT_PERMITTED,
        f"{NOT_PERMITTED}: 10.0.0.1",
        "certificate not accepted: unable to get local issuer",
        "TLS failed: bad record mac",
        *(
            f"{missing} within 15 s"
            for missing in (
                "no connection",
                "the target answered 200, but its answer did not end",
                "the target began to answer, but its answer's headers did not end",
                "no answer",
            )
        ),
        "the egress proxy cannot be used: connection refused",
        "the rendered message is 300 KiB; at most 256 KiB are sent",
    }
)


def test_the_sentences_are_found() -> None:
    assert len(PROBLEMS) > 40
    assert len(FAILURES) > 40


@pytest.mark.parametrize("detail", [one for one in PROBLEMS if not one.startswith(ONLY_PROGRAMS)])
def test_a_problem_is_told_in_every_language(detail: str) -> None:
    english, spanish = (problem_in_words(detail, language(code)) for code in ("en", "es"))
    assert english != spanish
    assert english.endswith(".")
    assert "%(" not in english + spanish


@pytest.mark.parametrize("error", FAILURES)
def test_a_failure_is_told_in_every_language(error: str) -> None:
    english, spanish = (failure_in_words(error, language(code)) for code in ("en", "es"))
    assert english != spanish
    assert english.endswith(".")
    assert "%(" not in english + spanish


@pytest.mark.parametrize(
    ("said", "english", "spanish"),
    [
        (
            partial(in_words, "List should have at most 10000 items after validation, not 10001"),
            "10,001 were chosen; 10,000 can be.",
            "Se eligieron 10.001; pueden ser 10.000.",
        ),
        (
            partial(in_words, "the URL is longer than 2048 characters"),
            "longer than 2,048 characters",
            "más de 2.048 caracteres",
        ),
        (partial(in_words, "Input should be greater than or equal to 0.001"), "at least 0.001", "a partir de 0,001"),
        (
            partial(in_words, "Expecting value at line 1000, column 12345"),
            "Line 1,000, column 12,345",
            "Línea 1.000, columna 12.345",
        ),
        (
            partial(failure_in_words, "the rendered message is 1025 KiB; at most 256 KiB are sent"),
            "1,025 KiB",
            "1.025 KiB",
        ),
        (
            partial(problem_in_words, "That was more than 1200 requests in 60 s. Wait, then go on more slowly."),
            "1,200 requests",
            "1.200 peticiones",
        ),
    ],
)
def test_numbers_are_said_as_the_language_writes_them(said: Said, english: str, spanish: str) -> None:
    assert english in said(language("en"))
    assert spanish in said(language("es"))


def test_digits_that_are_no_number_are_said_as_they_are() -> None:
    detail = "the header 1000 is there twice (upper and lower case are the same)"
    assert "1000" in in_words(detail, language("en"))


@pytest.mark.parametrize(("code", "disabled"), [("en", "was disabled"), ("es", "se deshabilitó")])
def test_a_test_that_is_answered_410_disables_nothing_and_says_so(code: str, disabled: str) -> None:
    gone, other = "the target answered 410 Gone", "the target answered 503"
    assert disabled in failure_in_words(gone, language(code))
    of_test = failed_test_in_words(gone, language(code))
    assert "410 Gone" in of_test
    assert disabled not in of_test
    assert failed_test_in_words(other, language(code)) == failure_in_words(other, language(code))


def test_of_all_failures_one_is_that_the_message_was_too_large() -> None:
    assert [error for error in FAILURES if was_too_large(error)] == [
        "the rendered message is 300 KiB; at most 256 KiB are sent"
    ]


def test_why_a_webhook_was_disabled_is_told_in_every_language() -> None:
    failing = Failing(12_345, 12_400, 5 * A_DAY, "the target answered 503")
    assert disabled_in_words(failing.reason, language("en")) == (
        "12,345 of 12,400 attempts failed in the last 5 days. The last error: The target answered 503. "
        "Only answers from 200 to 299 are a success."
    )
    spanish = disabled_in_words(failing.reason, language("es"))
    assert "12.345 de 12.400" in spanish
    assert "5 días" in spanish
    assert "24 horas" in disabled_in_words(Failing(1, 2, A_DAY, "").reason, language("es"))
    assert "410 Gone" in disabled_in_words("the target answered 410 Gone", language("es"))
