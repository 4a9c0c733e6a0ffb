"""`healthytwin benchmark`: all methods on one split, one preparation and one set of rules."""
