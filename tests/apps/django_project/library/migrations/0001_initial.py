"""The first tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Books and documents."""

    initial = True
    operations = [
        migrations.CreateModel(
            name="Book",
            fields=[("id", models.BigAutoField(primary_key=True)), ("title", models.CharField(max_length=100))],
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("note", models.CharField(max_length=100)),
                ("file", models.FileField(upload_to="documents")),
            ],
        ),
    ]
