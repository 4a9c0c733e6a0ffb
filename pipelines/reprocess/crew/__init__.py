"""Who works: the coordinator and its workers."""
