"""The commands: one module per command, each with a function `command` that imports what it needs."""
