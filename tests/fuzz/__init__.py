"""Damaged and hostile inputs by the thousand: `python -m tests.fuzz`."""
