"""The hospital batch under kill -9: nothing lost, nothing done twice, nothing left in part."""
