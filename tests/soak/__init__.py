"""Many people, several nodes and whatever can happen to them, for minutes; then the proof from the
database that every promise was kept all the same.
"""
