"""A question as it arrives: cleaned, measured, and taken apart where it asks several things."""

from __future__ import annotations

import re
import unicodedata

MAX_QUESTION = 2_000
"""Characters. A question is a sentence or a paragraph; what is longer is a document."""

# Format characters (zero-width, bidirectional, tags) can hide text from the person who pastes it.
_INVISIBLE = {"Cf", "Cc", "Co", "Cs", "Cn"}
_SENTENCE_END = re.compile(r"(?<=[?!])\s+|(?<=[a-z)]\.)\s+(?=[A-Z])")
_WH = r"(?:how|what|why|when|where|which|who)"
_ASKING = rf"(?:{_WH}|should|can|could|do|does|is|are|would)"
_JOINED = re.compile(
    rf"\s*[,;]?\s*\band\s+(?={_WH}\s+(?:do|does|is|are|should|can|would|to|i|you|we|the)\b)",
    re.IGNORECASE,
)
_LEANS = re.compile(r"\b(?:it|its|they|them|their|this|that|these|those|one)\b", re.IGNORECASE)
_FEWEST_WORDS = 3


def clean(text: str) -> str:
    """Return a text without invisible characters and with single spaces."""
    visible = "".join(
        char for char in text if char.isspace() or unicodedata.category(char) not in _INVISIBLE
    )
    return " ".join(unicodedata.normalize("NFC", visible).split())


def parts(question: str) -> list[str]:
    """Return the questions in a question, in order; itself when it asks one thing.

    A part asks: it ends with a question mark or begins with a question word. What cannot be
    understood alone ("why not one?", "how would I find it?") stays with the question before it, and
    a statement with the question after it. Joined, the parts have the words of the question.
    """
    asked: list[str] = []
    context = ""
    for sentence in _SENTENCE_END.split(question):
        if not _asks(sentence):
            context = f"{context} {sentence}".strip()
        elif asked and not context and not _stands_alone(sentence):
            asked[-1] = f"{asked[-1]} {sentence}"
        else:
            asked += _joined(f"{context} {sentence}".strip())
            context = ""
    if context and asked:
        asked[-1] = f"{asked[-1]} {context}"
    return asked or [question]


def _asks(sentence: str) -> bool:
    return sentence.rstrip().endswith("?") or bool(re.match(_ASKING, sentence, re.IGNORECASE))


def _stands_alone(sentence: str) -> bool:
    return len(sentence.split()) >= _FEWEST_WORDS and not _LEANS.search(sentence)


def _joined(sentence: str) -> list[str]:
    """Split "How do I detect drift and what do I do then?" where both halves stand alone."""
    pieces = _JOINED.split(sentence)
    if not all(_stands_alone(piece) for piece in pieces[1:]) or len(pieces[0].split()) < 3:
        return [sentence]
    return [*(f"{piece}?" for piece in pieces[:-1]), pieces[-1]]
