"""The URLs of the Django project of the tests."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

__all__ = ["urlpatterns"]


def whoami(request: HttpRequest) -> HttpResponse:
    return HttpResponse(getattr(request.user, "email", ""))


urlpatterns = [path("accounts/", include("allauth.urls")), path("whoami/", whoami)]
