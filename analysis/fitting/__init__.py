"""Solver, bootstrap, shape tests and result objects; nothing here knows any law."""
