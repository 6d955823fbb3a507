"""The statistics: arrays in, arrays or estimates out. No table, no store, no file."""
