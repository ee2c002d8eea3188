"""Pure views of a reading: no I/O, no clocks of their own."""
