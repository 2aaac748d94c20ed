"""An encoder that needs no weights: texts are near when they share words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.judges import content_words


class WordEncoder:
    """Each content word is a direction of its own."""

    name = "words as directions"

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self._axes: dict[str, int] = {}

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        vectors = np.zeros((len(texts), 512), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in content_words(text):
                vectors[row, self._axes.setdefault(word, len(self._axes))] = 1.0
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
