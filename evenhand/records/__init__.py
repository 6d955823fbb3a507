"""The records that all other rooms use. Each is checked when it is created; this room imports no other."""
