"""Questionnaires put to a persona: what it ticks by likelihood, and whether the ticks can be relied upon."""
