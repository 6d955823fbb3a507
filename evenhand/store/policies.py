"""Stores policy versions."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine, select

from evenhand.errors import PolicyError
from evenhand.records.policy import PolicyVersion, parse_policy, policy_hash
from evenhand.store.base import StoreBase, note
from evenhand.store.tables import PolicyRow


class PolicyMethods(StoreBase):
    """Adding and finding policy versions. A published version never changes, so a parsed one is kept."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._parsed: dict[str, PolicyVersion] = {}

    def add_policy(self, policy: PolicyVersion, text: str, *, by: str) -> bool:
        """Add a policy version; False if it is there already with the same text.

        PolicyError if the version is there with another text.
        """
        mark, at = policy_hash(text), datetime.now(UTC)
        row = {"version": policy.version, "text": text, "hash": mark, "added_at": at, "added_by": by}
        with self._writing() as session:
            if self._insert_new(session, PolicyRow, [row], "version"):
                note(session, "add_policy", policy.version, by=by, at=at, details={"hash": mark})
                return True
            known = session.scalar(select(PolicyRow.hash).where(PolicyRow.version == policy.version))
        if known != mark:
            raise PolicyError(
                f"policy {policy.version!r} is there already with another text; decisions rest on it,"
                " so give the changed text a new version"
            )
        return False

    def policies(self) -> list[PolicyVersion]:
        """All policy versions, by the day from which they apply."""
        with self._reading() as session:
            versions = list(session.scalars(select(PolicyRow.version)))
            if new := [version for version in versions if version not in self._parsed]:
                query = select(PolicyRow.version, PolicyRow.text).where(PolicyRow.version.in_(new))
                for version, text in session.execute(query):
                    self._parsed[version] = parse_policy(text, f"stored policy {version}")
        found = [self._parsed[version] for version in versions]
        return sorted(found, key=lambda policy: (policy.effective_from, policy.version))

    def policy(self, version: str) -> PolicyVersion:
        """The policy version called `version`; PolicyError with the known ones otherwise."""
        if version in self._parsed:
            return self._parsed[version]
        known = {policy.version: policy for policy in self.policies()}
        if version in known:
            return known[version]
        raise PolicyError(
            f"no policy version {version!r}; known: {', '.join(known) or 'none yet'};"
            " add it with `evenhand policy add`"
        )
