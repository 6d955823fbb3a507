"""What all parts of the store share: transactions, what their failures mean, and the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Engine, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from evenhand.errors import OutsideError, RecordError
from evenhand.store.schema import first_line, make_engine, migrate, shown
from evenhand.store.tables import AuditRow, Base

if TYPE_CHECKING:
    import polars as pl

CHUNK = 500  # values in one IN (...), far below either database's limit


class StoreBase:
    """Opening, transactions and the audit log.

    Every write commits before its method returns. The audit row of a person's act is written in the same
    transaction.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at `url`, migrated to the newest schema.

        ConfigError for a wrong url, WorkspaceError for a newer schema, OutsideError if it cannot be reached.
        """
        engine = make_engine(url)
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        try:
            with Session(self.engine, expire_on_commit=False) as session, session.begin():
                yield session
        except (IntegrityError, DataError, UnicodeEncodeError) as problem:
            raise RecordError(
                f"{shown(self.engine.url)}: the store cannot hold this ({first_line(problem)}); nothing was written"
            ) from problem
        except (DBAPIError, PoolTimeout) as problem:
            raise OutsideError(
                f"{shown(self.engine.url)}: the store refused ({first_line(problem)});"
                " check disk space and server, then try again"
            ) from problem
        except StatementError as problem:  # a value that could not be sent at all
            raise RecordError(
                f"{shown(self.engine.url)}: the store cannot hold this ({first_line(problem)}); nothing was written"
            ) from problem

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        """A transaction that may check first and then write.

        SQLite takes the write lock at once, so what was checked still holds. On PostgreSQL, unique keys and
        row locks protect the writes.
        """
        with self._reading() as session:
            if self.engine.dialect.name == "sqlite":
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session

    def _insert_new(
        self, session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]], key: str, *more: str
    ) -> set[Any]:
        """Insert the rows whose `key` is not there yet, and return the keys of the inserted rows.

        With `more`, these columns belong to the key too.
        """
        if not rows:
            return set()
        if len(rows) > 1:  # many at once: clashes are rare, and finding them row by row is three times slower
            try:
                with session.begin_nested():
                    session.execute(insert(table), [dict(row) for row in rows])
                return {row[key] for row in rows}
            except IntegrityError:
                pass  # somebody wrote some of them meanwhile: continue below, row by row
        dialect: Any = postgresql if self.engine.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table.__table__).on_conflict_do_nothing(index_elements=[key, *more])
        found = session.execute(statement.returning(table.__table__.c[key]), [dict(row) for row in rows])
        return set(found.scalars())

    def audit(
        self, action: str, subject: str, *, by: str, at: datetime, details: Mapping[str, Any] | None = None
    ) -> None:
        """Write one line of the audit log, such as a view of a case."""
        with self._writing() as session:
            note(session, action, subject, by=by, at=at, details=details)

    def audit_log(self) -> pl.DataFrame:
        """The audit log, oldest first; `details` as JSON text."""
        from evenhand.store import frames

        with self._reading() as session:
            columns = [AuditRow.__table__.c[name] for name in frames.AUDIT]
            rows = session.execute(select(*columns).order_by(AuditRow.id)).all()
        return frames.audit_frame(rows)


def note(
    session: Session,
    action: str,
    subject: str,
    *,
    by: str,
    at: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an audit row to the current transaction."""
    session.add(AuditRow(at=at, by=by, action=action, subject=subject, details=dict(details or {})))


def values(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """The named columns of a row."""
    return {name: getattr(row, name) for name in names}
