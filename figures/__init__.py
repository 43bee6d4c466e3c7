"""Figures of the laws: they read tables and fits, and never fit."""
