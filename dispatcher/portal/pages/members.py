"""What the members of a webhook are called where changes of them are told: as the details of a webhook call them."""

from collections.abc import Mapping

from dispatcher.portal.pages.languages import N_, Language

_MEMBERS = {
    "name": N_("Name"),
    "event_type": N_("Event Type"),
    "target_url": N_("Target URL"),
    "items": N_("Selected Resources"),
    "payload_template": N_("Payload Template"),
    "headers": N_("Headers"),
    "rate_limit": N_("Rate limit"),
    "status": N_("Status"),
    "disabled_reason": N_("Reason"),
    "secrets": N_("Signing secret"),
}


def members(language: Language) -> Mapping[str, str]:
    """The names in a language, by member."""
    return {member: language.gettext(text) for member, text in _MEMBERS.items()}
