"""How fast the report page is drawn, and how heavy it is."""
