"""What the project stores."""

from django.db import models


class Book(models.Model):
    """A book, edited in the admin."""

    title = models.CharField(max_length=100)

    def __str__(self):
        return self.title


class Document(models.Model):
    """An uploaded file with a note."""

    note = models.CharField(max_length=100)
    file = models.FileField(upload_to="documents")
