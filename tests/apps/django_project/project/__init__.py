"""The Django project that the suite serves."""
