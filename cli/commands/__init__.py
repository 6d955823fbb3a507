"""One module a command; each holds `command`. They alone import outwards, inside the command."""
