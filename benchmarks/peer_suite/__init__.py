"""The scripts on which other tools were measured."""
