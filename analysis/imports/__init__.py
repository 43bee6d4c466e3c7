"""Logs of other trainers as the contract's table of evaluations, one module a kind of log."""
