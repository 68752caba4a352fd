"""The checks of the checklist: pure functions of a recorded run. One file per check, one folder per section."""
