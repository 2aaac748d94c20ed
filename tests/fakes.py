"""Stand-ins for the parts behind ports, and small corpora for them to read."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from ingest.embedding import Fingerprint, Precision, Vectors
from ingest.notes import PHASES

_NOUNS = """
alarm batch budget cache catalogue click cohort column cost dashboard deadline feed feature
filter graph holdout incident index interval join label latency ledger listing logger margin
metric model monitor network owner payload pipeline policy predictor queue quota ranker
record region replica report request review rollout sample schema score seller server shard
signal sketch snapshot store stream table team tenant threshold token trace traffic user
vector window
"""
_VERBS = """
absorbs bounds changes checks compares copies counts cuts delays feeds filters guards hides
joins keeps limits loads marks measures merges moves needs orders reads repeats replaces
samples sorts splits stores tests trims updates warns weighs
"""


class FakeEmbedder:
    """An `Embedder` that hashes words: texts that share words are near each other.

    A word is a token. Everything that was asked for is kept in `encoded`, in order.
    """

    def __init__(self, name: str = "fake", *, dimension: int = 384, window: int = 256) -> None:
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        self.fingerprint = Fingerprint(name, sha256, dimension, window)
        self.fast: Precision = "float32"
        self.encoded: list[str] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode(self, texts: Sequence[str], precision: Precision = "float32") -> Vectors:
        self.encoded.extend(texts)
        vectors = np.stack([self._vector(text) for text in texts])
        return vectors.astype(np.float32)

    def fastest_precision(self, texts: Sequence[str]) -> Precision:
        return self.fast

    def load(self) -> None:
        """Load nothing: there is no model."""

    def _vector(self, text: str) -> Vectors:
        vector = np.zeros(self.fingerprint.dimension)
        for word in re.findall(r"\w+", text.lower()) or [""]:
            digest = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            # Signs let chance collisions cancel, so that unrelated texts have a cosine near zero.
            vector[(digest >> 1) % vector.size] += 1.0 if digest & 1 else -1.0
        length = np.linalg.norm(vector)
        if length == 0.0:
            vector[0] = length = 1.0
        return vector / length


def prose(topic: str, words: int = 100) -> str:
    """Return sentences about a topic, always the same ones: about `words` words, no figures."""
    chance = random.Random(topic)
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < words:
        subject, verb, thing, second = (
            topic,
            chance.choice(_VERBS.split()),
            chance.choice(_NOUNS.split()),
            chance.choice(_NOUNS.split()),
        )
        third, other = chance.choice(_NOUNS.split()), chance.choice(_VERBS.split())
        sentence = f"{subject} {verb} the {thing} while a {second} {other} one {third}."
        sentences.append(sentence[0].upper() + sentence[1:])
    return " ".join(sentences)


def section(topic: str, body: str | None = None, asks: Sequence[str] | None = None) -> str:
    """Return a section of a note: heading, questions and prose."""
    asked = asks if asks is not None else (f"What is {topic}?", f"When does {topic} fail?")
    comment = f"<!-- asks: {' | '.join(asked)} -->\n" if asked else ""
    return (
        f"## {topic[0].upper()}{topic[1:]}\n{comment}\n{prose(topic) if body is None else body}\n"
    )


@dataclass(slots=True)
class CorpusFolder:
    """A folder of notes under construction. What its methods write by default is valid."""

    root: Path
    _sources: dict[str, dict[str, object]] = field(default_factory=dict)

    def note(
        self,
        note_id: str = "topics/drift",
        *topics: str,
        body: str | None = None,
        sources: Sequence[str] = (),
        front: Mapping[str, object] | None = None,
    ) -> Path:
        """Write a note with one section a topic (its own name, if none), and its sources.

        `front` changes keys of the front matter; the value None leaves a key out.
        """
        name = note_id.rsplit("/", 1)[-1]
        kinds = {"framework": "framework", "topics": "topic", "faq": "faq"}
        head: dict[str, object] = {
            "id": note_id,
            "title": name.replace("-", " ").capitalize(),
            "kind": kinds.get(note_id.split("/", 1)[0], "topic"),
            "phases": ["operate"],
            "level": "L4",
            "summary": f"What to know about {name.replace('-', ' ')}.",
            "sources": list(sources),
            "updated": "2026-01-31",
        } | dict(front or {})
        kept = {key: value for key, value in head.items() if value is not None}
        written = yaml.safe_dump(kept, sort_keys=False).replace("'2026-01-31'", "2026-01-31")
        if body is None:
            body = "\n".join(section(topic) for topic in topics or (name.replace("-", " "),))
            if sources:
                body += f"\nThe record is public [{'; '.join(f'@{key}' for key in sources)}].\n"
        for key in sources:
            self.source(key)
        return self.write(f"{note_id}.md", f"---\n{written}---\n\n{body}")

    def source(self, key: str = "gama-2014", **changes: object) -> None:
        """Enter a source into sources.yaml."""
        self._sources[key] = {
            "title": "A survey on concept drift adaptation",
            "authors": "João Gama",
            "year": 2014,
            "url": "https://doi.org/10.1145/2523813",
            "kind": "paper",
            "cited_for": "What drift is.",
        } | changes
        self.write("sources.yaml", yaml.safe_dump(self._sources, allow_unicode=True))

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file below the folder, its line ends as given."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def case(self, case_id: str = "rank-shops", body: str | None = None, **changes: object) -> Path:
        """Write a case that breaks no rule for everybody's cases. `changes` replace keys."""
        head = {
            "id": case_id,
            "title": f"Design {case_id.replace('-', ' ')}",
            "kind": "search",
            "opening": f"People look for {case_id}. How would you help them?",
            "levels": ["L4", "L5"],
            "facts": [fact(case_id)],
            "points": [point(phase, case_id) for phase in PHASES],
        } | changes
        kept = {key: value for key, value in head.items() if value is not None}
        written = yaml.safe_dump(kept, sort_keys=False, width=90)
        outline = body if body is not None else outline_of(case_id)
        return self.write(f"cases/{case_id}.md", f"---\n{written}---\n\n{outline}")


def fact(case_id: str = "rank-shops", **changes: object) -> dict[str, object]:
    """Return what a clarifying question may learn."""
    asks = [f"How many {case_id}?", "What is the scale?", "How big is it?"]
    return {"id": "scale", "asks": asks, "says": f"There are nine {case_id}."} | changes


def point(
    phase: str = "model", case_id: str = "rank-shops", **changes: object
) -> dict[str, object]:
    """Return a point of a case, its texts its own and studying `topics/drift#drift`."""
    own = f"{phase} {case_id}"
    return {
        "id": f"{phase}-point",
        "aspect": f"Which {own}?",
        "phase": phase,
        "level": "L4",
        "weight": 2,
        "says": f"Alpha {own} narrows gently towards harbours.",
        "any_of": [f"beta {own} lantern", f"gamma {own} meadow"],
        "probe": f"And then, {own}?",
        "hints": [f"First {own}.", f"Second {own}.", f"Third {own}."],
        "study": ["topics/drift#drift"],
    } | changes


def outline_of(case_id: str, **sections: str) -> str:
    """Return an outline with a heading a phase; `sections` replace the text of a phase."""
    return "\n".join(
        section(phase, sections.get(phase, prose(f"{phase} of {case_id}", 120))).replace(
            f"## {phase.capitalize()}", f"## {phase}"
        )
        for phase in PHASES
    )
