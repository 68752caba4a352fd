"""A recorded run once more: its code rebuilt, its surroundings compared, its curve judged."""
