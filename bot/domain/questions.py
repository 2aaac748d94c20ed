"""A question as it arrives: cleaned, measured, and taken apart where it asks several things."""

from __future__ import annotations

import re
import unicodedata

MAX_QUESTION = 2_000
"""Characters. A question is a sentence or a paragraph; what is longer is a document."""

# Format characters (zero-width, bidirectional, tags) can hide text from the person who pastes it.
_INVISIBLE = {"Cf", "Cc", "Co", "Cs", "Cn"}
_SENTENCE_END = re.compile(r"(?<=[?!])\s+|(?<=[a-z)]\.)\s+(?=[A-Z])")
_QUESTION_WORD = r"(?:how|what|why|when|where|which|who|should|can|could|do|does|is|are|would)"
_AUXILIARY = r"(?:do|does|is|are|should|can|would|to|i|you|we|the)"
_JOINED = re.compile(
    rf"\s*(?:[,;]\s*)?\band\s+(?={_QUESTION_WORD}\s+{_AUXILIARY}\b)", re.IGNORECASE
)
_LEANS = re.compile(r"\b(?:it|its|they|them|their|this|that|these|those|one)\b", re.IGNORECASE)


def clean(text: str) -> str:
    """Return a text without invisible characters and with single spaces."""
    visible = "".join(
        " " if char in "\t\r\n" else char
        for char in unicodedata.normalize("NFC", text)
        if char in "\t\r\n" or unicodedata.category(char) not in _INVISIBLE
    )
    return " ".join(visible.split())


def parts(question: str) -> list[str]:
    """Return the questions in a question, in order; itself when it asks one thing.

    Only a part that asks (it ends with a question mark, or begins with a question word) stands
    alone; other sentences are context and stay with the question that follows, or precedes them.
    """
    asked: list[str] = []
    context = ""
    for sentence in _SENTENCE_END.split(question):
        if not sentence.strip():
            continue
        context = f"{context} {sentence}".strip()
        if _asks(sentence):
            asked += _joined(context)
            context = ""
    if context and asked:
        asked[-1] = f"{asked[-1]} {context}"
    elif context:
        asked = [context]
    return asked or [question]


def is_name(word: str, question: str) -> bool:
    """Tell whether a word names something: an acronym, a product, a version."""
    if any(char.isupper() for char in word[1:]) or any(char.isdigit() for char in word):
        return True
    return word[0].isupper() and not re.search(rf"(?:^|[.?!]\s+){re.escape(word)}\b", question)


def _asks(sentence: str) -> bool:
    return sentence.rstrip().endswith("?") or bool(
        re.match(_QUESTION_WORD, sentence.strip(), re.IGNORECASE)
    )


def _joined(sentence: str) -> list[str]:
    pieces = [piece.strip() for piece in _JOINED.split(sentence) if piece.strip()]
    # "What is leakage and how would I find it?" asks one thing twice: "it" needs the first half.
    if any(len(piece.split()) < 3 or _LEANS.search(piece) for piece in pieces):
        return [sentence]
    return [piece if piece.endswith(("?", ".")) else f"{piece}?" for piece in pieces]
