"""Runs of a grid for the pages of trackers, one module a tracker; its package is imported when it is used."""
