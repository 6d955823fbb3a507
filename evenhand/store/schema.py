"""Opening a database: engine settings, and migration to the schema that this code knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from evenhand.errors import ConfigError, OutsideError, WorkspaceError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0004"  # the newest migration; lets an up-to-date database open without loading Alembic
VERSION_TABLE = "evenhand_version"  # our own name: MLflow keeps an `alembic_version` in a shared database
_LOCK = 7_031_990  # PostgreSQL advisory lock: one migration at a time
_CONNECT_SECONDS = 10
_PRAGMAS = (
    "busy_timeout=10000",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
)  # so that INSERT OR REPLACE fires the append-only triggers too


def shown(url: URL) -> str:
    """The url without its secrets, for messages."""
    return url.difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)


def first_line(problem: BaseException) -> str:
    """The first line of a database error, without the statement and its values."""
    inner = getattr(problem, "orig", None) or problem
    return (str(inner).strip().splitlines() or [type(inner).__name__])[0]


def alembic_config() -> Config:
    """Alembic's settings without an ini file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def make_engine(url: str) -> Engine:
    """An engine for SQLite (WAL) or PostgreSQL; ConfigError for anything else."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as problem:
        raise ConfigError(
            "the store's url cannot be read; write it like sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
        ) from problem
    if (backend := parsed.get_backend_name()) not in ("sqlite", "postgresql"):
        raise ConfigError(f"store url {shown(parsed)}: use sqlite:///FILE or postgresql+psycopg://...")
    options: dict[str, Any] = {}
    if backend == "postgresql":
        options["pool_pre_ping"] = True
        if "connect_timeout" not in parsed.query:
            options["connect_args"] = {"connect_timeout": _CONNECT_SECONDS}
    try:
        engine = create_engine(parsed, **options)
    except (ArgumentError, NoSuchModuleError) as problem:
        raise ConfigError(
            f"store url {shown(parsed)}: {problem}; use sqlite:///FILE or postgresql+psycopg://..."
        ) from problem
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"store url {shown(parsed)} needs {problem.name}; write postgresql+psycopg://..."
            ' and install its driver with `pip install -e ".[server]"`'
        ) from problem
    if backend == "sqlite":
        event.listen(engine, "connect", _sqlite_settings)
    return engine


def _sqlite_settings(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema.

    WorkspaceError if its schema is newer than this code; OutsideError if it cannot be reached.
    """
    try:
        with engine.connect() as connection:
            current = _current(connection)
        if current != HEAD:
            _upgrade(engine, current)
    except (DBAPIError, PoolTimeout) as problem:
        advice = (
            "check that its disk has space, its folder exists and can be written, and the file is an Evenhand store"
            if engine.dialect.name == "sqlite"
            else "check that the server runs, that the url is right and that the user may create tables"
        )
        raise OutsideError(
            f"{shown(engine.url)}: the store cannot be opened ({first_line(problem)}); {advice}"
        ) from problem
    except (StatementError, UnicodeError) as problem:
        raise ConfigError(
            f"store url {shown(engine.url)}: {first_line(problem)}; correct the url"
        ) from problem


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return None if found is None else str(found)


def _upgrade(engine: Engine, current: str | None) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise WorkspaceError(
            f"{shown(engine.url)}: store schema {current} is newer than this Evenhand knows ({HEAD});"
            " upgrade Evenhand"
        )
    with engine.begin() as connection:
        _one_at_a_time(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _one_at_a_time(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
