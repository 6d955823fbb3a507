"""Takes in files from users: every row is checked, nothing is lost, and the same file twice adds nothing."""

from evenhand.ingest.decisions import ingest_decisions
from evenhand.ingest.quarantine import IngestReport
from evenhand.ingest.rulings import ingest_rulings

__all__ = ["IngestReport", "ingest_decisions", "ingest_rulings"]
