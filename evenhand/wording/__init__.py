"""How figures and names are said to people, on pages, in reports and in the terminal alike."""
