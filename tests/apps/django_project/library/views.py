"""The pages outside the admin."""

from django.forms import ModelForm
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render

from .models import Book, Document


class DocumentForm(ModelForm):
    """Uploads a document."""

    class Meta:
        """Every field that a person fills in."""

        model = Document
        fields = ("note", "file")


def books(request):
    """Every title, a line each."""
    return HttpResponse("\n".join(Book.objects.order_by("id").values_list("title", flat=True)))


def counter(request):
    """Counts the visits of one session."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


def stream(request):
    """A response without a length."""
    return StreamingHttpResponse(f"line {number}\n" for number in range(1000))


def upload(request):
    """Shows the form and takes it in."""
    form = DocumentForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        return HttpResponseRedirect(f"/download/{form.save().pk}/")
    return render(request, "library/upload.html", {"form": form})


def download(request, document):
    """Sends a document back, through wsgi.file_wrapper."""
    found = get_object_or_404(Document, pk=document)
    return FileResponse(found.file.open("rb"), as_attachment=True, filename=found.note)


def fail(request):
    """Raises, as code does."""
    raise RuntimeError("this page always fails")
