"""Words for figures and names, the same on pages, in reports and in the terminal."""
