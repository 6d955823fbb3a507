"""Taking in what users bring: checked row by row, idempotent, nothing lost."""

from evenhand.ingest.decisions import ingest_decisions
from evenhand.ingest.quarantine import IngestReport
from evenhand.ingest.rulings import ingest_rulings

__all__ = ["IngestReport", "ingest_decisions", "ingest_rulings"]
