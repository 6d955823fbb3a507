"""Rulings to examples, splits, fine-tuning, evaluation and registration."""
