"""Why a decision was flagged: the words that carry it, and the nearest precedents."""
