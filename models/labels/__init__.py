"""Label models: how likely each label of an area is for a text."""
