"""The command line: parse, call one function, print. It may import everything; nothing imports it."""
