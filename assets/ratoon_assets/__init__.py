"""The Dagster code location: what people see of the loop, and how it is started from the page."""
