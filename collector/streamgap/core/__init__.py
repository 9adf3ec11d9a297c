"""Pure functions and values: no I/O, no clock, no logging. Everything else in streamgap stands on this package."""
