"""What a reader gets from a sweep."""
