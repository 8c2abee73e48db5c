"""Models that Ratoon keeps fresh."""
