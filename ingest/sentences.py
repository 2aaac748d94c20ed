"""Cut text into sentences, losing no character."""

from __future__ import annotations

import sentencex

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "…": "."})


def segments(text: str) -> list[str]:
    """Return the sentences of a text with the spaces that follow them; joined, they are the text.

    The library counts bytes in places and panics on some characters of more than one byte, a
    no-break space before a full stop for one. So it reads a copy in which each is one of ASCII, and
    the cuts are carried over.
    """
    cuts: list[str] = []
    start = 0
    for sentence in sentencex.segment("en", "".join(map(_ascii, text.translate(_QUOTES)))):
        cuts.append(text[start : start + len(sentence)])
        start += len(sentence)
    return cuts


def _ascii(char: str) -> str:
    if char.isascii():
        return char
    if char.isspace():
        return " "
    if char.isalnum():
        return "X" if char.isupper() else "x"
    return "-"
