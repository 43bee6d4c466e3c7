"""One module a law: its formula, its fit and the constants published for it."""
