"""Measures how many planted near-duplicates are found, and how fast.

The copies have typos, emoji, spaces, swapped words, long letters or look-alikes, in four scripts.

    python benchmarks/conflicts.py [--rows 100000] [--json OUT]

Texts are random sentences of invented words, so two texts are alike only if they were planted. A pair is
found if both texts are in one group. A pair of different texts in one group lowers precision.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from evenhand.similar.near_duplicates import SIMILAR, group_texts
from evenhand.synthetic.generate import phrases

HAN = "今天我们在市场看见一只小猫它喜欢吃鱼也爱睡觉朋友说明年春天要去山上画画唱歌骑车看花老师送给学生新书和蓝色雨伞"
COPIES = 3  # altered copies of a planted text


def words_of(script: str, rng: np.random.Generator) -> list[str]:
    """Invented words: from the product's own sentences, and for Han random pairs of characters."""
    if script == "han":
        return ["".join(rng.choice(list(HAN), 2)) for _ in range(400)]
    language = {"latin": "es", "arabic": "ar", "thai": "th"}[script]
    kinds = phrases()[language]["kinds"]
    text = " ".join(sentence for sentences in kinds.values() for sentence in sentences)
    text = text.replace("{t}", " ").replace("{n}", " ")
    if script == "thai":  # there are no spaces between words: pieces of five characters serve as words
        joined = text.replace(" ", "")
        return [joined[i : i + 5] for i in range(0, len(joined) - 5, 5)]
    return sorted(set(text.replace(",", " ").split()))


def sentence(words: list[str], script: str, rng: np.random.Generator) -> list[str]:
    """6 to 14 words."""
    return [str(word) for word in rng.choice(words, int(rng.integers(6, 15)))]


def spoken(words: list[str], script: str) -> str:
    """The words joined into a text."""
    return ("" if script in ("thai", "han") else " ").join(words)


def typo(words: list[str], script: str, rng: np.random.Generator) -> str:
    """One character is dropped."""
    text = spoken(words, script)
    at = int(rng.integers(1, len(text)))
    return text[:at] + text[at + 1 :]


def emoji(words: list[str], script: str, rng: np.random.Generator) -> str:
    """Emoji are added at the end and between words."""
    at = int(rng.integers(1, len(words)))
    return spoken(words[:at], script) + " 😂🔥 " + spoken(words[at:], script) + "🙏🙏"


def spacing(words: list[str], script: str, rng: np.random.Generator) -> str:
    """A space inside a word and a full stop are added."""
    text = spoken(words, script)
    at = int(rng.integers(1, len(text)))
    return text[:at] + " . " + text[at:]


def swap(words: list[str], script: str, rng: np.random.Generator) -> str:
    """Two neighbouring words change places."""
    at = int(rng.integers(0, len(words) - 1))
    return spoken([*words[:at], words[at + 1], words[at], *words[at + 2 :]], script)


def elongated(words: list[str], script: str, rng: np.random.Generator) -> str:
    """A character is repeated, and the text is in capitals."""
    text = spoken(words, script)
    at = int(rng.integers(0, len(text)))
    return (text[: at + 1] + text[at] * 4 + text[at + 1 :]).upper()


def look_alike(words: list[str], script: str, rng: np.random.Generator) -> str:
    """Cyrillic letters and digits replace Latin letters; every text ends in full-width signs."""
    text = spoken(words, script)
    return text.replace("a", "а").replace("e", "3").replace("o", "о") + "！！"


CHANGES: dict[str, Callable[[list[str], str, np.random.Generator], str]] = {
    "typo": typo,
    "emoji": emoji,
    "spacing": spacing,
    "word_swap": swap,
    "elongated": elongated,
    "look_alike": look_alike,
}


def make(rows: int, seed: int) -> tuple[list[str], list[int], list[str]]:
    """Texts, the planted group of each, and how each was changed.

    A tenth of the texts are planted originals or copies.
    """
    rng = np.random.default_rng(seed)
    scripts = ("latin", "arabic", "thai", "han")
    vocabulary = {script: words_of(script, rng) for script in scripts}
    texts: list[str] = []
    group: list[int] = []
    change: list[str] = []
    while len(texts) < rows:
        script = scripts[len(texts) % 4]
        words = sentence(vocabulary[script], script, rng)
        number = len(texts)
        texts.append(spoken(words, script))
        group.append(number)
        change.append(f"{script}/original")
        if rng.random() < 0.03:
            for name in rng.choice(list(CHANGES), COPIES, replace=False):
                texts.append(CHANGES[str(name)](words, script, rng))
                group.append(number)
                change.append(f"{script}/{name}")
    return texts[:rows], group[:rows], change[:rows]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--similar", type=float, default=SIMILAR)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    texts, planted, change = make(args.rows, args.seed)
    began, cpu = time.monotonic(), time.process_time()
    found = group_texts(texts, similar=args.similar)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    wanted, hits = Counter[str](), Counter[str]()
    for i, number in enumerate(planted):
        if i != number:
            wanted[change[i]] += 1
            hits[change[i]] += int(found[i] == found[number])
    together: dict[int, list[int]] = {}
    for i, code in enumerate(found.tolist()):
        together.setdefault(code, []).append(i)
    pairs = right = 0
    for members in together.values():
        n = len(members)
        pairs += n * (n - 1) // 2
        right += sum(k * (k - 1) // 2 for k in Counter(planted[i] for i in members).values())
    result = {
        "rows": args.rows,
        "recall": round(sum(hits.values()) / max(sum(wanted.values()), 1), 4),
        "precision": round(right / max(pairs, 1), 4),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "recall_by_change": {name: round(hits[name] / n, 3) for name, n in sorted(wanted.items())},
        "similar": args.similar,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    text = json.dumps(result, indent=1)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
