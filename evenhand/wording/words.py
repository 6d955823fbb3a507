"""Words for figures, places and days in a report.

Names come from the policy. A name that comes from data may contain any character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from babel import Locale

from evenhand.records.policy import PolicyVersion, titles
from evenhand.statistics.estimator import Estimate

#: The kinds of error, never netted against each other, and the findings that are nobody's error.
KINDS = {
    "over_enforcement": "Over-enforcement",
    "under_enforcement": "Under-enforcement",
    "wrong_policy": "Wrong label",
}
OUTCOME_NAMES = {"total": "All errors", **KINDS, "policy_unclear": "Policy unclear"}
UNKNOWN = "not known yet"
#: Official languages of the Member States; DSA Article 42(2)(c) asks for the indicators by these languages.
OFFICIAL_EU = (
    "bg",
    "cs",
    "da",
    "de",
    "el",
    "en",
    "es",
    "et",
    "fi",
    "fr",
    "ga",
    "hr",
    "hu",
    "it",
    "lt",
    "lv",
    "mt",
    "nl",
    "pl",
    "pt",
    "ro",
    "sk",
    "sl",
    "sv",
)
_ENGLISH = Locale("en")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff\u202a-\u202e\u2066-\u2069]+")


def shown(text: str) -> str:
    r"""A text from data on one line.

    Control characters, line breaks and loose direction marks become a space.

    >>> shown("two\nlines")
    'two lines'
    """
    return _CONTROL.sub(" ", text).strip()


def within(text: str) -> str:
    """`text` for use inside a sentence.

    A right-to-left name is isolated, so that the words around it stay in place.
    """
    text = shown(text)
    turns = any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in text)
    return f"\u2068{text}\u2069" if turns else text


def spoken(name: str) -> str:
    """A readable form of a technical name.

    >>> spoken("content_type")
    'Content type'
    """
    return name.replace("_", " ").capitalize()


def percent(share: float) -> str:
    """A fraction in [0, 1] as a percentage."""
    return f"{share:.1%}"


def points(difference: float) -> str:
    """A difference of two fractions, in percentage points.

    >>> points(0.021), points(-0.0001), points(-0.021)
    ('+2.1', '0.0', '−2.1')
    """
    rounded = f"{100 * difference:+.1f}"
    return "0.0" if rounded in ("+0.0", "-0.0") else rounded.replace("-", "−")


def moved(difference: float, low: float, high: float) -> str:
    """A difference of two fractions with its interval, in percentage points."""
    return f"{points(difference)} points, {points(low)} to {points(high)}"


def said(estimate: Estimate) -> str:
    """The rate, or that it is not known yet."""
    return percent(estimate.rate) if estimate.status == "measured" else UNKNOWN


def evidence(estimate: Estimate) -> str:
    """The evidence for a rate, for use in brackets: interval and reviews.

    If the rate is not known yet, the number of reviews that are still needed.
    """
    if estimate.status == "measured":
        return f"{percent(estimate.low)} to {percent(estimate.high)}, {estimate.n_reviewed:,} reviewed"
    return f"{estimate.n_reviewed:,} reviewed, {more_reviews(estimate.reviews_needed)} needed"


def day(when: date) -> str:
    """A day in words.

    >>> day(date(2026, 3, 2))
    '2 Mar 2026'
    """
    return f"{when.day} {when:%b %Y}"


def capital(text: str) -> str:
    """`text` with its first letter in upper case, the rest unchanged."""
    return text[:1].upper() + text[1:]


def more_reviews(count: int) -> str:
    """How many more reviews are needed.

    >>> more_reviews(1), more_reviews(1200)
    ('about 1 more review', 'about 1,200 more reviews')
    """
    return f"about {count:,} more review{'' if count == 1 else 's'}"


def listed(words: Iterable[str]) -> str:
    """Words in a list, as in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    found = list(words)
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def is_language(tag: str) -> bool:
    """Whether a BCP 47 tag names a language that CLDR knows."""
    return tag != "und" and tag.split("-")[0].lower() in _ENGLISH.languages


def language(tag: str) -> str:
    """The English name of a language (CLDR) for a BCP 47 tag; the tag itself if CLDR does not know it.

    >>> language("pt"), language("pt-BR"), language("und"), language("xx")
    ('Portuguese', 'Portuguese (pt-BR)', 'Language unknown', 'xx')
    """
    if not is_language(tag):
        return "Language unknown" if tag == "und" else shown(tag)
    name = _ENGLISH.languages[tag.split("-")[0].lower()]
    return f"{name} ({shown(tag)})" if "-" in tag else name


class Names:
    """Readable names for values of columns: languages, and areas and labels by the titles of a policy."""

    def __init__(self, policies: Sequence[PolicyVersion], used: Sequence[str] = ()) -> None:
        """Takes the titles of the newest of the versions `used`.

        Titles of other `policies` serve only for names that none of those has.
        """
        in_use = [policy for policy in policies if policy.version in used]
        known = {
            key
            for policy in in_use
            for area in policy.areas
            for name in ("", *area.label_names)
            for key in ((area.name, name), ("", name))
        }
        elsewhere = {key: title for key, title in titles(policies).items() if key not in known}
        self._titles = elsewhere | titles(in_use)

    def value(self, column: str, value: str) -> str:
        """One value of a column."""
        if column == "language":
            return language(value)
        if column == "area":
            return shown(self._titles.get((value, ""), spoken(value)))
        if column == "label":
            return shown(self._titles.get(("", value), spoken(value)))
        return shown(value)

    def label(self, area: str, label: str) -> str:
        """A label of an area, by its title."""
        return shown(self._titles.get((area, label), spoken(label)))

    def place(self, where: Mapping[str, str]) -> str:
        """A slice in words, for a sentence or a heading.

        >>> Names([]).place({"market": "TH", "queue": "live"})
        'market TH, queue live'
        """
        return ", ".join(
            f"{spoken(column).lower()} {within(self.value(column, value))}" for column, value in where.items()
        )
