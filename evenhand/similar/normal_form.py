"""Texts without tricks and decoration, so that copies of one another are found."""

from __future__ import annotations

import re
import unicodedata

#: Letters of other scripts that look like Latin ones, after case folding.
_LOOK_ALIKE = str.maketrans("авеёкмнорстухіјѕԁһӏοαεινρτυχκϲ", "abeekmhopctyxijsdhloaeivptuxkc")
_LEET = str.maketrans("013457@$", "oieastas")
_RUN = re.compile(r"(.)\1+", re.DOTALL)


class _Kept(dict[int, str]):
    """Code point -> itself for letters, marks and numbers; a space for the rest.

    Filled as characters come up.
    """

    def __missing__(self, code: int) -> str:
        kind = unicodedata.category(chr(code))
        kept = chr(code) if kind[0] in "LMN" or chr(code) in "@$" else " "
        if kind in ("Cf", "Mn") and (kind == "Cf" or 0xFE00 <= code <= 0xFE0F):
            kept = ""  # joiners, direction marks, variation selectors
        self[code] = kept
        return kept


_KEPT = _Kept()


def normal_form(text: str) -> str:
    """`text` without case, width, emoji, punctuation, numbers, elongations and look-alike letters.

    Removed: width, emoji, punctuation, plain numbers and repeated letters. Look-alike letters, and digits
    used as letters, are replaced. Letters and marks of every script stay.

    >>> normal_form("Sooo COOL!!! 😀 123") == normal_form("so cool")
    True
    >>> normal_form("fr33 gіft") == normal_form("Free  gift")
    True
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_KEPT)
    words = []
    for word in plain.split():
        if not any(c.isalpha() for c in word):
            continue
        latin = word.translate(_LOOK_ALIKE)
        if any("a" <= c <= "z" for c in latin):
            latin = latin.translate(_LEET)
        else:
            latin = "".join(c for c in latin if not c.isdigit() and c not in "@$")
        words.append(_RUN.sub(r"\1", latin))
    return " ".join(words)


def squashed(text: str) -> str:
    """The normal form without spaces.

    `s p a c i n g` is no disguise, and scripts without spaces need no words.
    """
    return _RUN.sub(r"\1", normal_form(text).replace(" ", ""))
