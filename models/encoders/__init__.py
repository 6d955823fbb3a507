"""Text encoders: loading one by name, and judging on 8-bit weights."""
