"""Policy versions: dated YAML documents with areas, labels, clauses, severity and market overrides."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from evenhand.errors import PolicyError
from evenhand.records.ruling import ErrorClass

SEVERITIES = ("none", "low", "medium", "high", "critical")


@dataclass(frozen=True, kw_only=True)
class Label:
    """One answer a queue can give in an area, with the clause that says when it applies."""

    name: str
    title: str
    clause_id: str  # like "3.2"
    clause: str  # the clause's text
    severity: str = "none"
    market_clauses: Mapping[str, str] = field(default_factory=dict)  # market -> clause text that replaces it

    def clause_for(self, market: str | None) -> str:
        """The clause's text as it reads in `market`."""
        return self.market_clauses.get(market or "", self.clause)


@dataclass(frozen=True, kw_only=True)
class Area:
    """One question that a queue decides. The first label means "not violating"."""

    name: str
    title: str
    labels: tuple[Label, ...]

    @property
    def label_names(self) -> tuple[str, ...]:
        """Label names in policy order, "not violating" first."""
        return tuple(label.name for label in self.labels)

    def label(self, name: str) -> Label:
        """The label called `name`; PolicyError with the known ones otherwise."""
        for label in self.labels:
            if label.name == name:
                return label
        raise PolicyError(f"area {self.name!r} has no label {name!r}; it has {', '.join(self.label_names)}")

    def error_class(self, decided: str, ruled: str) -> ErrorClass | None:
        """How a decision differs from a ruling; None if they agree.

        over_enforcement: the decision acted where nothing was wrong. under_enforcement: it let a violation
        stand. wrong_policy: it acted under the wrong label.
        """
        if decided == ruled:
            return None
        clean = self.labels[0].name
        if ruled == clean:
            return "over_enforcement"
        return "under_enforcement" if decided == clean else "wrong_policy"


@dataclass(frozen=True, kw_only=True)
class PolicyVersion:
    """One dated version of a policy."""

    version: str
    title: str
    effective_from: date
    areas: tuple[Area, ...]
    note: str = ""

    def area(self, name: str) -> Area:
        """The area called `name`; PolicyError with the known ones otherwise."""
        for area in self.areas:
            if area.name == name:
                return area
        known = ", ".join(area.name for area in self.areas)
        raise PolicyError(f"policy {self.version!r} has no area {name!r}; it has {known}")

    def check(self, area: str, label: str) -> None:
        """Raise PolicyError unless `label` is one of `area`'s labels."""
        self.area(area).label(label)


@dataclass(frozen=True, kw_only=True)
class PolicyChange:
    """One difference between two versions."""

    kind: str  # (area|label)_(added|removed) or (clause|severity|market)_changed
    area: str
    label: str | None
    before: str
    after: str


class _Loader(yaml.BaseLoader):
    """A YAML loader that keeps every plain value as the text that was written.

    YAML's own guesses would turn the market NO into False and version 1.10 into 1.1. A key that is there
    twice is refused, not overwritten.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose keys all differ."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} stands there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _text(raw: Mapping[str, Any], name: str, default: str, where: str) -> str:
    value = raw.get(name, default)
    if not isinstance(value, str):
        raise PolicyError(f"{where}: {name!r} should be a text, is a list or a mapping; write one line")
    return value.strip()


def _title(raw: Mapping[str, Any], name: str, where: str) -> str:
    """The title on one line; without a title, the name in readable form."""
    return " ".join(_text(raw, "title", "", where).split()) or name.replace("_", " ").capitalize()


def _list(raw: Mapping[str, Any], name: str, where: str) -> list[Any]:
    value = raw[name]
    if not isinstance(value, list):
        raise PolicyError(f"{where}: {name!r} should be a list, with a dash before each entry")
    return value


def _need(raw: Mapping[str, Any], known: Iterable[str], required: Iterable[str], where: str) -> None:
    known = tuple(known)
    if not isinstance(raw, Mapping):
        raise PolicyError(f"{where}: expected a mapping with {', '.join(known)}")
    if extra := sorted(set(map(str, raw)) - set(known)):
        raise PolicyError(f"{where}: unknown key {extra[0]!r}; known keys: {', '.join(known)}")
    for name in required:
        if not raw.get(name) or not str(raw[name]).strip():
            raise PolicyError(f"{where}: {name!r} is missing; add it")


def _label(raw: Mapping[str, Any], where: str) -> Label:
    known = ("name", "title", "clause_id", "clause", "severity", "markets")
    _need(raw, known, ("name", "clause"), where)
    name = _text(raw, "name", "", where)
    where = f"{where}, label {name!r}"
    severity = _text(raw, "severity", "none", where)
    if severity not in SEVERITIES:
        raise PolicyError(f"{where}: severity {severity!r} is unknown; use one of {', '.join(SEVERITIES)}")
    markets = raw.get("markets") or {}
    if not isinstance(markets, Mapping):
        raise PolicyError(f"{where}: 'markets' should map a market to its clause, like TH: The clause.")
    return Label(
        name=name,
        title=_title(raw, name, where),
        clause_id=_text(raw, "clause_id", "", where),
        clause=" ".join(_text(raw, "clause", "", where).split()),
        severity=severity,
        market_clauses={m: " ".join(_text(markets, m, "", where).split()) for m in markets},
    )


def _area(raw: Mapping[str, Any], where: str) -> Area:
    _need(raw, ("name", "title", "labels"), ("name", "labels"), where)
    name = _text(raw, "name", "", where)
    where = f"{where}, area {name!r}"
    labels = tuple(_label(item, where) for item in _list(raw, "labels", where))
    names = [label.name for label in labels]
    if len(labels) < 2:
        raise PolicyError(f"{where}: needs at least two labels, the first of them 'not violating'")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PolicyError(f"{where}: label {twice[0]!r} stands there twice; rename one")
    return Area(name=name, title=_title(raw, name, where), labels=labels)


def parse_policy(text: str, source: str = "policy") -> PolicyVersion:
    """A policy version from YAML text; PolicyError names `source`, the place and the remedy."""
    try:
        raw = yaml.load(text, Loader=_Loader)  # builds texts, lists and mappings only
    except (yaml.YAMLError, RecursionError) as problem:
        raise PolicyError(f"{source}: not valid YAML: {problem}; correct it there") from problem
    known = ("version", "title", "effective_from", "note", "areas")
    _need(raw or {}, known, ("version", "effective_from", "areas"), source)
    since = _text(raw, "effective_from", "", source)
    try:
        effective_from = date.fromisoformat(since)
    except ValueError:
        raise PolicyError(f"{source}: effective_from is {since!r}; write a date like 2026-03-01") from None
    areas = tuple(_area(item, source) for item in _list(raw, "areas", source))
    names = [area.name for area in areas]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise PolicyError(f"{source}: area {twice[0]!r} stands there twice; rename one")
    version = _text(raw, "version", "", source)
    return PolicyVersion(
        version=version,
        title=_text(raw, "title", version, source),
        effective_from=effective_from,
        areas=areas,
        note=_text(raw, "note", "", source),
    )


def read_policy(path: Path) -> tuple[PolicyVersion, str]:
    """The policy version in the YAML file at `path`, and the file's text."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such file; name a policy YAML file") from None
    except UnicodeDecodeError as problem:
        raise PolicyError(f"{path}: not UTF-8 ({problem}); save it as UTF-8") from problem
    except OSError as problem:
        raise PolicyError(
            f"{path}: cannot be read ({problem.strerror or problem}); check the file"
        ) from problem
    return parse_policy(text, str(path)), text


def policy_hash(text: str) -> str:
    """Fingerprint of a policy's text, 16 hex digits."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _label_changes(area: str, old: Label, new: Label) -> list[PolicyChange]:
    changes = []
    for kind, before, after in (
        ("clause_changed", old.clause, new.clause),
        ("severity_changed", old.severity, new.severity),
    ):
        if before != after:
            changes.append(PolicyChange(kind=kind, area=area, label=old.name, before=before, after=after))
    for market in sorted({*old.market_clauses, *new.market_clauses}):
        before, after = old.market_clauses.get(market, ""), new.market_clauses.get(market, "")
        if before != after:
            changes.append(
                PolicyChange(
                    kind="market_changed",
                    area=area,
                    label=f"{old.name} [{market}]",
                    before=before,
                    after=after,
                )
            )
    return changes


def titles(policies: Iterable[PolicyVersion]) -> dict[tuple[str, str], str]:
    """What people call areas and labels: their titles in the newest of these versions that has them.

    The key (area, "") is an area; (area, label) is a label of it; ("", label) is a label in any area, if
    every area gives it the same title. A title that two names share does not tell them apart, so it is left
    out and the name is shown.

    >>> ok = Label(name="ok", title="Fine", clause_id="", clause="")
    >>> hate = Area(name="hate", title="Hate speech", labels=(ok,))
    >>> titles([PolicyVersion(version="1", title="", effective_from=date(2026, 1, 1), areas=(hate,))])
    {('hate', ''): 'Hate speech', ('hate', 'ok'): 'Fine', ('', 'ok'): 'Fine'}
    """
    found: dict[tuple[str, str], str] = {}
    for policy in sorted(policies, key=lambda policy: (policy.effective_from, policy.version)):
        for area in policy.areas:
            found[area.name, ""] = area.title
            found |= {(area.name, label.name): label.title for label in area.labels}
    called: dict[str, set[str]] = {}
    for (_, label), title in found.items():
        called.setdefault(label, set()).add(title)
    found |= {("", label): title for label, (title, *more) in called.items() if label and not more}
    siblings = Counter((bool(label), label and area, title) for (area, label), title in found.items())
    return {
        (area, label): title
        for (area, label), title in found.items()
        if siblings[bool(label), label and area, title] == 1
    }


def diff_policies(old: PolicyVersion, new: PolicyVersion) -> list[PolicyChange]:
    """What changed from `old` to `new`, in the order of the documents."""
    changes: list[PolicyChange] = []
    olds, news = {a.name: a for a in old.areas}, {a.name: a for a in new.areas}
    for name in [*olds, *(n for n in news if n not in olds)]:
        if name not in news or name not in olds:
            kind = "area_removed" if name not in news else "area_added"
            before, after = (olds[name].title, "") if name in olds else ("", news[name].title)
            changes.append(PolicyChange(kind=kind, area=name, label=None, before=before, after=after))
            continue
        before_labels = {label.name: label for label in olds[name].labels}
        after_labels = {label.name: label for label in news[name].labels}
        for label in [*before_labels, *(n for n in after_labels if n not in before_labels)]:
            if label not in after_labels:
                clause = before_labels[label].clause
                changes.append(
                    PolicyChange(kind="label_removed", area=name, label=label, before=clause, after="")
                )
            elif label not in before_labels:
                clause = after_labels[label].clause
                changes.append(
                    PolicyChange(kind="label_added", area=name, label=label, before="", after=clause)
                )
            else:
                changes.extend(_label_changes(name, before_labels[label], after_labels[label]))
    return changes
