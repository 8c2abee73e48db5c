"""The embedded stack: the processes that ``ratoon up`` starts, watches and stops."""
