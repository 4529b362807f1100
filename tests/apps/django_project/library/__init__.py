"""An application with a model, an admin, forms and files."""
