"""What a person may be called: any text on one line. It is never used as a path, and compared without regard to case.

Two spellings are one name if they are the same after Unicode's canonical caseless matching (Unicode 17, D145): "Zoë"
typed as four letters or five, "STRASSE" and "straße", " Ada " and "ada". What is shown is the spelling that came first.
"""

import unicodedata

from vitrail.errors import ConfigError

LONGEST = 200
"""Characters of a name."""


def clean_name(name: str) -> str:
    """The name as it is kept and shown: NFC, without spaces around it.

    Raises:
        ConfigError: it is empty, too long, or holds what isn't text (control characters, bytes in no encoding).
    """
    shown = unicodedata.normalize("NFC", name).strip()
    if not shown:
        raise ConfigError(f"the name {name!r} is empty: give at least one letter.")
    if len(shown) > LONGEST:
        raise ConfigError(f"a name of {len(shown)} characters is too long: give at most {LONGEST}.")
    # Cc: control, Cs: half of a surrogate pair, which is what Python makes of bytes that are no UTF-8.
    strange = next((letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs")), None)
    if strange is not None:
        raise ConfigError(
            f"the name {shown!r} holds the character U+{ord(strange):04X}, which is no text: type it without."
        )
    return shown


def name_key(name: str) -> str:
    """What two spellings of one name have in common."""
    decomposed = unicodedata.normalize("NFD", clean_name(name))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", decomposed.casefold()))
