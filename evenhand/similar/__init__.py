"""Which texts are nearly the same, and what follows from it."""
