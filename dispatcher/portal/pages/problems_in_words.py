"""Why something could not be done, or a webhook was disabled, in words for people: sentences, in their language."""

import re

from dispatcher.portal.pages.failures_in_words import failure_in_words
from dispatcher.portal.pages.languages import N_, Language
from dispatcher.portal.pages.phrases import Phrases

_AGAIN = ". Sign in again, or get a new token."

# What the API says in a problem's detail, where a page can meet with it.
_PROBLEMS = Phrases(
    {
        "There is no such webhook in this organization.": N_("There is no such webhook in this organization."),
        "There is no such message in this organization.": N_("There is no such message in this organization."),
        "There is no such attempt in this organization.": N_("There is no such attempt in this organization."),
        "There is nothing at %(path)s.": N_("There is nothing at %(path)s."),
        "%(method)s means nothing here; allowed: %(methods)s.": N_("This address is not one to open in a browser."),
        "Correct %(fields)s and send the request again.": N_(
            "The address holds values that cannot be: %(fields)s. Correct them, or begin again from your webhooks."
        ),
        "The body of the request is not as its headers say. Send it whole, encoded as they say.": N_(
            "What your browser sent did not arrive whole. Go back and try again."
        ),
        "The body is larger than %(most)d MiB; send less.": N_("That is larger than %(most)s MiB. Send less."),
        "The form is larger than %(most)d MiB, or has more than %(fields)d fields; send less.": N_(
            "What was typed is larger than %(most)s MiB, or more than %(fields)s fields, so nothing of it was saved. "
            "Go back, make the message shorter or choose fewer items, and save again."
        ),
        "That was more than %(quota)d requests in %(seconds)d s. Wait, then go on more slowly.": N_(
            "That was more than %(quota)s requests in %(seconds)s seconds. Wait a moment, then go on more slowly."
        ),
        "%(most)d tests of this organization's webhooks are going on already. Wait until one has ended.": N_(
            "%(most)s tests of this organization's webhooks are going on already. Wait until one has ended."
        ),
        "The message is still being sent. Wait until it has succeeded or failed.": N_(
            "The message is still being sent. It can be sent again when it has succeeded or failed."
        ),
        "What was to be sent is not kept, after 28 days or because it was too large, so it cannot be sent again.": N_(
            "What was to be sent is not kept, after 28 days or because it was too large, so it cannot be sent again."
        ),
        "The message was sent %(most)d times, which is as often as one can be.": N_(
            "The message was sent %(most)s times, which is as often as one can be."
        ),
        "The webhook is disabled. Enable it first, then send again.": N_(
            "The webhook is disabled. Enable it first, then send again."
        ),
        "Somebody changed the webhook meanwhile. Read it again, then make your change.": N_(
            "Somebody changed the webhook meanwhile. Look at it again first."
        ),
        "%(most)d secrets sign already, each for 24 hours. Rotate again when the first of them ends, at %(until)s.": N_(
            "%(most)s secrets sign already, each for 24 hours. Rotate again when the first of them ends, at %(until)s."
        ),
        "Others are changing this webhook all the time. Try again in a moment.": N_(
            "Others are changing this webhook all the time. Try again in a moment."
        ),
        "The webhook %(name)s has the same event type, target URL, items and template, so everything would be sent "
        "twice. Change one of them, or use that webhook.": N_(
            "The webhook %(name)s has the same event type, target URL, items and message, so everything would be sent "
            "twice. Change one of them, or use that webhook."
        ),
        "The webhook cannot be changed: its configuration cannot be decrypted here.": N_(
            "The webhook cannot be changed: its configuration cannot be decrypted here."
        ),
        "Kafka does not answer at the moment. Try again soon.": N_(
            "Kafka does not answer at the moment. Try again soon."
        ),
        "ClickHouse does not answer at the moment. Try again soon.": N_(
            "ClickHouse does not answer at the moment. Try again soon."
        ),
        "ClickHouse does not have this version's tables yet; a recorder's start makes them. Try again soon.": N_(
            "ClickHouse does not have this version's tables yet. A recorder's start makes them. Try again soon."
        ),
        "The request failed on our side; it was logged. Try again later.": N_(
            "The request failed on our side; it was logged. Try again later."
        ),
        # Who somebody is, and what they may
        "Your session has ended. Sign in again.": N_("Your session has ended. Sign in again."),
        "The request comes from another site.": N_("The request comes from another site."),
        "%(host)s is not an address of this portal. Open it by an IP address or as localhost, or set "
        "DISPATCHER_PUBLIC_URL to the URL by which people come.": N_(
            "%(host)s is not an address of this portal. Open it by an IP address or as localhost, or set "
            "DISPATCHER_PUBLIC_URL to the URL by which people come."
        ),
        "This page was opened in another session. Go back, reload it, and try again.": N_(
            "This page was opened in another session. Go back, reload it, and try again."
        ),
        "This form was opened in another session, so nothing was saved. Open it again: what you typed comes back.": N_(
            "This form was opened in another session, so nothing was saved. Open it again: what you typed comes back."
        ),
        "You are in more organizations than a browser can keep; use the API with a token.": N_(
            "You are in more organizations than a browser can keep; use the API with a token."
        ),
        "Only Organization Admins configure webhooks.": N_("Only Organization Admins can configure webhooks."),
        "Your token does not name this organization.": N_("You are not a member of this organization."),
        "Only a user with the role %(role)s may see and configure webhooks.": N_(
            "Only Organization Admins can configure webhooks."
        ),
        "Sign in with your organization's account.": N_("Sign in with your organization's account."),
        "Send a token: Authorization: Bearer <JWT>.": N_("Paste a token."),
        f"The Authorization header is not of the form Bearer <JWT>{_AGAIN}": N_("Paste a token."),
        f"The token is not signed with %(accepted)s{_AGAIN}": N_(
            "The token is not signed with %(accepted)s. Sign in again, or get a new token."
        ),
        f"The token is signed with a key that is not known here{_AGAIN}": N_(
            "The token is signed with a key that is not known here. Sign in again, or get a new token."
        ),
        f"The token's claim %(claim)s is not as it should be{_AGAIN}": N_(
            "The token's claim %(claim)s is not as it should be. Sign in again, or get a new token."
        ),
        f"The token has no claim %(claim)s{_AGAIN}": N_(
            "The token has no claim %(claim)s. Sign in again, or get a new token."
        ),
        f"The token has expired{_AGAIN}": N_("The token has expired. Sign in again, or get a new token."),
        f"The token is not valid yet{_AGAIN}": N_("The token is not valid yet. Sign in again, or get a new token."),
        f"The token is meant for another audience{_AGAIN}": N_(
            "The token is meant for another audience. Sign in again, or get a new token."
        ),
        f"The token comes from another issuer{_AGAIN}": N_(
            "The token comes from another issuer. Sign in again, or get a new token."
        ),
        f"The signature of the token is not valid{_AGAIN}": N_(
            "The signature of the token is not valid. Sign in again, or get a new token."
        ),
        f"The token is not a valid JWT{_AGAIN}": N_("The token is not a valid JWT. Sign in again, or get a new token."),
        "The keys that verify tokens cannot be fetched from the identity provider at the moment.": N_(
            "The keys that verify tokens cannot be fetched from the identity provider at the moment."
        ),
    }
)

_FAILING = re.compile(
    r"disabled: (?P<failed>[\d,]+) of (?P<attempts>[\d,]+) attempts failed in the last (?P<count>\d+) "
    r"(?P<unit>days|hours); the last error: (?P<error>.*)",
    re.DOTALL,
)


def problem_in_words(detail: str, language: Language) -> str:
    """The sentence that people read; the detail itself where there is no other, or it is one of a page's own."""
    said = _PROBLEMS.said(detail, language)
    return language.gettext(detail) if said is None else said


def disabled_in_words(reason: str, language: Language) -> str:
    """Why the dispatcher disabled a webhook."""
    found = _FAILING.fullmatch(reason)
    if found is None:
        return failure_in_words(reason, language)
    text = (
        language.gettext(
            "%(failed)s of %(attempts)s attempts failed in the last %(count)s days. The last error: %(error)s"
        )
        if found["unit"] == "days"
        else language.gettext(
            "%(failed)s of %(attempts)s attempts failed in the last %(count)s hours. The last error: %(error)s"
        )
    )
    failed, attempts, count = (
        language.number(int(found[name].replace(",", ""))) for name in ("failed", "attempts", "count")
    )
    error = failure_in_words(found["error"], language)
    return text % {"failed": failed, "attempts": attempts, "count": count, "error": error}
