"""Whether one model version is better than another."""
