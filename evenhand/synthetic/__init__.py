"""An invented, mild, multilingual data set with a known truth, for the demo, tests and simulations."""

from evenhand.synthetic.generate import generate

__all__ = ["generate"]
