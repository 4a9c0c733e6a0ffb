"""The hospital batch: an archive reprocessed, resumable at any point, every study once."""
