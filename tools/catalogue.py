"""Collects the texts of the pages into their catalogues: ``python -m tools.catalogue``.

Translations that are there stay; a new text has an empty one, which is then to be written.
"""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from dispatcher.events.types import DESCRIPTIONS, EventType
from dispatcher.events.variables import variables_of
from dispatcher.portal.pages.languages import ENGLISH, LANGUAGES, catalogue_path
from dispatcher.portal.pages.rendering import EXTENSIONS, TEMPLATES

PAGES = TEMPLATES.parent
_HEADER = """# Texts of the portal's pages; tools/catalogue.py collects them.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: {code}\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"

"""
_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_OPTIONS = {"templates/**.html": {"extensions": ",".join(EXTENSIONS), "silent": "false", "trimmed": "false"}}


def texts() -> Catalog:
    """Every text of the pages, in English."""
    catalogue = Catalog(fuzzy=False)
    found = extract_from_dir(PAGES, _METHODS, _OPTIONS, keywords={**DEFAULT_KEYWORDS, "N_": None})
    for _, _, message, _, context in sorted(found, key=lambda one: (one[0], one[1])):
        catalogue.add(message, context=context)
    for text in _shown_from_elsewhere():
        catalogue.add(text)
    return catalogue


def catalogue(path: Path) -> Catalog:
    """What is in a catalogue's file."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parents[1].name)


def main() -> None:
    """Write the catalogues."""
    for code in LANGUAGES:
        if code == ENGLISH:
            continue
        path = catalogue_path(code)
        current = catalogue(path) if path.exists() else Catalog(locale=code)
        current.update(texts(), no_fuzzy_matching=True)
        current.obsolete.clear()
        written = BytesIO()
        write_po(written, current, width=0, no_location=True, omit_header=True, sort_output=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_HEADER.format(code=code).encode() + written.getvalue())
        missing = sum(1 for message in current if message.id and not message.string)
        print(f"{path.name} ({code}): {len(current)} texts, {missing} to be translated")


def _shown_from_elsewhere() -> Iterator[str]:
    for about in DESCRIPTIONS.values():
        yield about.display_name
        yield about.all_items_label
    for event_type in EventType:
        yield from (variable.caption for variable in variables_of(event_type))


if __name__ == "__main__":
    main()
