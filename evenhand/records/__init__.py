"""The records that everything else is made of, checked where they are born; they know no other room."""
