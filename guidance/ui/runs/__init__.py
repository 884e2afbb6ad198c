"""Runs: what goes on for a visitor, from the question to the finished pictures."""
