"""What the API says of a field, in words for people: sentences, in their language."""

from dispatcher.portal.pages.languages import N_, Language
from dispatcher.portal.pages.phrases import Phrases
from dispatcher.portal.pages.typed_webhook import (
    ITEMS_OF_ANOTHER_KIND,
    NAME_WITHOUT_HEADER,
    NO_TEMPLATE,
    NOT_AN_OBJECT,
    WRITE_A_NUMBER,
)

_AT = " at line %(line)d, column %(column)d"

# What is found in an error → what is said instead. %(name)s stands for what differs, %(name)d for a number.
_WORDS = Phrases(
    {
        "is missing": N_("This is missing."),
        "String should have at least 1 character": N_("Fill this in."),
        "String should have at most %(most)d characters": N_("This is longer than %(most)s characters. Shorten it."),
        # Name
        "write a name; it cannot be blank": N_("Write a name; it cannot be blank."),
        "the name contains line breaks or control characters; remove them": N_(
            "The name contains line breaks or control characters. Remove them."
        ),
        # Event Type
        "Input should be 'active_alert'%(rest)s": N_("Choose one of the event types."),
        # Target URL
        "the URL is longer than %(most)d characters": N_("The URL is longer than %(most)s characters."),
        "the URL is longer than %(most)d characters once it is percent-encoded": N_(
            "The URL is longer than %(most)s characters once it is percent-encoded."
        ),
        "the URL contains spaces, backslashes or invisible characters; remove them": N_(
            "The URL contains spaces, backslashes or invisible characters. Remove them."
        ),
        "the URL has a fragment (#…), which is never sent; remove it": N_(
            "The URL has a fragment (#…), which is never sent. Remove it."
        ),
        "the URL's host or port is not valid; write it as https://host:port/path": N_(
            "The URL's host or port is not valid. Write it as https://host:port/path."
        ),
        "the URL starts with https:// or http://": N_("The URL starts with https:// or http://."),
        "the URL contains credentials; send them in a header instead": N_(
            "The URL contains credentials. Send them in a header instead."
        ),
        "the URL has no host": N_("The URL has no host."),
        "the URL's port is a number between 1 and 65535": N_("The URL's port is a number between 1 and 65535."),
        "the URL's host is not a valid IPv6 address": N_("The URL's host is not a valid IPv6 address."),
        "the URL's IPv6 address has a zone (%…), which means nothing here; remove it": N_(
            "The URL's IPv6 address has a zone, which means nothing here. Remove it."
        ),
        "the URL's host is not a valid internationalized name": N_(
            "The URL's host is not a valid internationalized name."
        ),
        "the URL's host is not a valid name or address": N_("The URL's host is not a valid name or address."),
        # Items
        'choose at least one item, {"ids": ["…"]}, or all of them, {"all": true}': N_("Choose at least one, or all."),
        "List should have at most %(most)d items after validation, not %(found)d": N_(
            "%(found)s were chosen; %(most)s can be. They are not shown here. Choose fewer, or all."
        ),
        ITEMS_OF_ANOTHER_KIND: N_("These items belong to another event type. Show those of this one, and choose anew."),
        # Message
        NO_TEMPLATE: N_("The template is empty. Write a JSON object, such as the example."),
        NOT_AN_OBJECT: N_("A template is a JSON object: begin it with { and end it with }."),
        f"Expecting property name enclosed in double quotes{_AT}": N_(
            "Line %(line)s, column %(column)s: the name of a member is expected here, in double quotes."
        ),
        f"Expecting ':' delimiter{_AT}": N_("Line %(line)s, column %(column)s: a colon is missing."),
        f"Expecting ',' delimiter{_AT}": N_(
            "Line %(line)s, column %(column)s: a comma or a closing bracket is missing."
        ),
        f"Expecting value{_AT}": N_("Line %(line)s, column %(column)s: a value is expected here."),
        f"Extra data{_AT}": N_("Line %(line)s, column %(column)s: the template ends before this."),
        f"Unterminated string starting at{_AT}": N_(
            "Line %(line)s, column %(column)s: the text that begins here has no closing quote."
        ),
        f"Invalid control character at{_AT}": N_(
            "Line %(line)s, column %(column)s: a tab, line break or control character stands inside quotes. "
            "Write it as \\t, \\n or \\u0000."
        ),
        f"Invalid \\%(what)sescape%(rest)s{_AT}": N_(
            "Line %(line)s, column %(column)s: this backslash means nothing in JSON. Write it as \\\\."
        ),
        f"Illegal trailing comma before end of %(what)s{_AT}": N_(
            "Line %(line)s, column %(column)s: this comma is one too many."
        ),
        "the member %(name)s occurs twice in one object": N_("The member %(name)s occurs twice in one object."),
        "%(word)s is not a JSON value": N_("%(word)s is not a JSON value. Write it in quotes."),
        "the number %(number)s is too large": N_("The number %(number)s is too large. Write it in quotes."),
        "it holds a number with thousands of digits": N_(
            "It holds a number with thousands of digits. Write it in quotes."
        ),
        "nested too deeply": N_("The template nests too deep. Make it flatter."),
        "the template nests deeper than %(most)d levels; make it flatter": N_(
            "The template nests deeper than %(most)s levels. Make it flatter."
        ),
        "the template is larger than %(most)d MiB; make it shorter": N_(
            "The template is larger than %(most)s MiB. Make it shorter."
        ),
        # Headers
        NAME_WITHOUT_HEADER: N_("A value has no header's name. Write the name, or remove the value."),
        "there are more than %(most)d headers; remove some": N_("There are more than %(most)s headers. Remove some."),
        "the header %(name)s is there twice (upper and lower case are the same)": N_(
            "The header %(name)s is there twice. Upper and lower case are the same."
        ),
        "the value of the header %(name)s is longer than %(most)d characters": N_(
            "The value of the header %(name)s is longer than %(most)s characters."
        ),
        "the value of the header %(name)s is masked; write the value itself": N_(
            "The value of the header %(name)s is masked. Write the value itself."
        ),
        "the value of the header %(name)s is masked, but there was none before; write it out": N_(
            "The value of the header %(name)s is masked, but there was none before. Write it out."
        ),
        "the value of the header %(name)s has other than printable ASCII characters, or spaces around it; "
        "remove them": N_("The value of the header %(name)s has other than printable ASCII characters. Remove them."),
        "the headers together are longer than %(most)d characters; shorten them": N_(
            "The headers together are longer than %(most)s characters. Shorten them."
        ),
        "%(name)s is not a header's name: use at most %(most)d letters, digits, - and the like": N_(
            "%(name)s is not a header's name. Use at most %(most)s letters, digits, - and the like."
        ),
        "the header %(name)s is about the connection and cannot be set; remove it": N_(
            "The header %(name)s is about the connection and cannot be set. Remove it."
        ),
        "the header %(name)s is set by the dispatcher; remove it": N_(
            "The header %(name)s is set by the dispatcher. Remove it."
        ),
        # Rate limit
        WRITE_A_NUMBER: N_("Write a number, such as 5 or 0.5."),
        "this can be read as %(most)d or as %(least)d; write the one that is meant": N_(
            "This can be read as %(most)s or as %(least)s. Write the one that you mean."
        ),
        "Input should be greater than or equal to %(least)d": N_(
            "Write a number of at least %(least)s, or leave it empty."
        ),
        "Input should be less than or equal to %(most)d": N_("Write a number up to %(most)s, or leave it empty."),
    }
)


def in_words(detail: str, language: Language) -> str:
    """The sentence that people read; the API's own words where there are no others."""
    said = _WORDS.said(detail, language)
    return language.gettext(detail) if said is None else said
