"""Attacks on what a trained person knows of itself, by family: held-out, of several turns, prefilled; each with a true twin."""
