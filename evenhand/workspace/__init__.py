"""A workspace folder on disk: its settings, its lake of Parquet files, and how files are written."""
