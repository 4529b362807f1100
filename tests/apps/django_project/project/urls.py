"""Where each page is."""

from django.contrib import admin
from django.urls import path
from library import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", views.books),
    path("counter/", views.counter),
    path("stream/", views.stream),
    path("upload/", views.upload),
    path("download/<int:document>/", views.download),
    path("fail/", views.fail),
]
