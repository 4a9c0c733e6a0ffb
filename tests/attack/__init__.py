"""Hostile peers, on loopback alone and bounded in number and time: `make attack` for the long form."""
