"""Why an attempt failed, as people read it: what senders report, in sentences of the person's language."""

from dispatcher.portal.pages.languages import N_, Language
from dispatcher.portal.pages.phrases import Phrases

_GONE = "the target answered 410 Gone"
_TOO_LARGE = "the rendered message is "

# What senders say → what is shown. %(name)s stands for what differs, %(name)d for a number.
_WORDS = Phrases(
    {
        _GONE: N_("The target answered 410 Gone: it wants no more messages, so the webhook was disabled."),
        "the target answered %(code)s, but its answer did not end within %(time)s": N_(
            "The target answered %(code)s, but its answer did not end within %(time)s."
        ),
        "the target answered %(code)s": N_("The target answered %(code)s. Only answers from 200 to 299 are a success."),
        "redirect (%(code)s) to %(url)s not followed": N_(
            "The target answered with a redirect (%(code)s) to %(url)s. Redirects are not followed: put the final "
            "address into the target URL."
        ),
        "no connection within %(time)s": N_("No connection to the target came about within %(time)s."),
        "no answer within %(time)s": N_("The target did not answer within %(time)s."),
        "the target began to answer, but its answer's headers did not end within %(time)s": N_(
            "The target began to answer, but the headers of its answer did not end within %(time)s."
        ),
        "the answer broke off before its end": N_("The answer broke off before its end."),
        "the egress proxy refused to connect: it answered %(code)s": N_(
            "The egress proxy refused to connect: it answered %(code)s."
        ),
        "no name server answered when the host's name was looked up": N_(
            "No name server answered when the host's name was looked up."
        ),
        "the host's name cannot be resolved": N_("The host's name cannot be resolved. Check the target URL."),
        "calls to addresses that are not public are not permitted": N_(
            "Calls to addresses that are not public are not permitted."
        ),
        "calls to addresses that are not public are not permitted: %(address)s": N_(
            "Calls to addresses that are not public are not permitted: %(address)s."
        ),
        "connection refused": N_("The connection was refused: nothing listens at the target's address and port."),
        "the target reset the connection": N_("The target reset the connection."),
        "the target cannot be reached: no route to its network": N_(
            "The target cannot be reached: no route to its network."
        ),
        "the target cannot be reached: no route to the host": N_("The target cannot be reached: no route to the host."),
        "the target cannot be reached: connecting timed out": N_("The target cannot be reached: connecting timed out."),
        "the target cannot be reached: no local port or address is free": N_(
            "The target cannot be reached: the dispatcher has no free port or address to call it from."
        ),
        "none of the target's addresses can be reached": N_("None of the target's addresses can be reached."),
        "the target closed the connection without an answer": N_("The target closed the connection without an answer."),
        "the target closed the connection during the TLS handshake": N_(
            "The target closed the connection during the TLS handshake."
        ),
        "the target sent more than %(size)s that are no answer": N_(
            "The target sent more than %(size)s that are no answer."
        ),
        "the answer is not valid HTTP: a header, or its first line, is too long": N_(
            "The answer is not valid HTTP: a header, or its first line, is too long."
        ),
        "the answer is not valid HTTP: %(error)s": N_("The answer is not valid HTTP: %(error)s."),
        "the target speaks TLS: its URL starts with https://": N_(
            "The target speaks TLS: its URL starts with https://."
        ),
        "the target does not speak TLS: its URL starts with http://, or its port is another": N_(
            "The target does not speak TLS: its URL starts with http://, or its port is another."
        ),
        "the target speaks only versions of TLS that are too old: it needs TLS 1.2 or newer": N_(
            "The target speaks only versions of TLS that are too old. It needs TLS 1.2 or newer."
        ),
        "TLS failed: %(error)s": N_("TLS failed: %(error)s."),
        "certificate expired": N_("The target's certificate has expired."),
        "certificate not valid yet": N_("The target's certificate is not valid yet."),
        "certificate self-signed: it is not trusted": N_("The target's certificate is self-signed, and not trusted."),
        "certificate of an authority that is not trusted": N_(
            "The target's certificate is of an authority that is not trusted."
        ),
        "certificate of an issuer that is not trusted, or the target does not send the whole chain": N_(
            "The target's certificate is of an issuer that is not trusted, or the target does not send the whole chain."
        ),
        "certificate for another host": N_("The target's certificate is for another host."),
        "certificate for another address": N_("The target's certificate is for another address."),
        "certificate not accepted: %(error)s": N_("The target's certificate is not accepted: %(error)s."),
        "the target URL cannot be called; correct it in the webhook": N_(
            "The target URL cannot be called. Correct it in the webhook."
        ),
        f"{_TOO_LARGE}%(size)d KiB; at most %(most)d KiB are sent": N_(
            "Not sent: with its values, the message is %(size)s KiB, and at most %(most)s KiB are sent."
        ),
        "not sent: the webhook was deleted": N_("Not sent: the webhook was deleted."),
        "not sent: the webhook is disabled": N_("Not sent: the webhook was disabled when it came due."),
        "not sent: the dispatcher cannot decrypt the webhook's configuration": N_(
            "Not sent: the dispatcher cannot decrypt the webhook's configuration."
        ),
        "the dispatcher could not make this attempt (%(error)s)": N_(
            "The dispatcher could not make this attempt (%(error)s)."
        ),
        "the call failed: %(error)s": N_("The call failed: %(error)s."),
    }
)


_AT_THE_PROXY = "the egress proxy cannot be used: "
_GONE_FOR_A_TEST = N_(
    "The target answered 410 Gone: it wants no more messages. A test changes nothing, but the first message that is "
    "answered so disables the webhook."
)


def failure_in_words(error: str, language: Language) -> str:
    """The sentence that people read; a sender's own words where there are no others."""
    if error.startswith(_AT_THE_PROXY):
        why = failure_in_words(error.removeprefix(_AT_THE_PROXY), language)
        return language.gettext("The egress proxy cannot be used. %(why)s") % {"why": why}
    said = _WORDS.said(error, language)
    return error[:1].upper() + error[1:] if said is None else said


def failed_test_in_words(error: str, language: Language) -> str:
    """The same of a test, which disables no webhook."""
    return language.gettext(_GONE_FOR_A_TEST) if error == _GONE else failure_in_words(error, language)


def was_too_large(error: str) -> bool:
    """Whether a message failed because it was too large to be sent: its body was never kept."""
    return error.startswith(_TOO_LARGE)
