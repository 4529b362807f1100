"""A package whose application is deep inside."""
