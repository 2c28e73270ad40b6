"""Maps of emotions: what they are made of, how scaled, ordered and compared, and how good they are."""
