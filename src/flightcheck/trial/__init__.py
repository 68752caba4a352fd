"""The process of a trial: the user's script once more, with patches, with known seeds, away from the user's files."""
