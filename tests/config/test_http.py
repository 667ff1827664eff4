"""What holds for every address: problems, probes, the OpenAPI document."""

import json
import re

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.urls import get_resolver

from config import problems


def test_the_process_says_it_lives(client: Client):
    assert client.get("/livez").json() == {"status": "ok"}


@pytest.mark.django_db
def test_readiness_names_what_is_wrong(client: Client):
    """The test server runs without fsync, which must be said."""
    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["problems"] == [
        "database: commits are not durable (fsync, synchronous_commit)"
    ]


def test_an_address_that_is_not_there_is_a_problem_document(client: Client):
    response = client.get("/api/v1/nothing")

    assert response.status_code == 404
    assert response["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not_found"


def test_a_database_that_is_away_is_503_with_a_time_to_retry():
    response = problems.answer(OperationalError("server closed the connection"), {})

    assert response is not None
    assert (response.status_code, response["retry-after"]) == (503, "2")
    assert "server closed" not in json.dumps(response.data)


def test_an_unforeseen_error_is_not_swallowed():
    assert problems.answer(ZeroDivisionError(), {}) is None


def test_a_server_error_is_a_problem_document_without_details():
    response = problems.server_error(RequestFactory().get("/api/v1/usage"))

    assert response.status_code == 500
    assert json.loads(response.content)["code"] == "internal_error"


@pytest.mark.django_db
def test_the_api_document_lists_every_api_address(client: Client):
    document = client.get("/api/v1/openapi.json").json()

    assert document["openapi"] == "3.1.1"
    ours = {
        "/api/v1/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(pattern.pattern))
        for entry in get_resolver().url_patterns
        if str(entry.pattern) == "api/v1/" and hasattr(entry, "url_patterns")
        for pattern in entry.url_patterns
    }
    assert set(document["paths"]) == ours


def test_the_api_page_has_no_inline_script(client: Client):
    html = client.get("/api/v1/docs/").content.decode()

    assert "<script>" not in html
    assert "cdn" not in html
