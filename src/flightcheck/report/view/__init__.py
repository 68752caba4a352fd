"""The page and the table of `flightcheck.views`."""
