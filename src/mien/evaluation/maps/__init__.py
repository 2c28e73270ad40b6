"""Maps of emotions: of what they are made, how they are scaled, ordered and compared, and how good they are."""
