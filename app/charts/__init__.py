"""The charts of the managers' pages."""
