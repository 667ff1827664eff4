from billing.formats.errors import BodyError, RecordError


def test_record_error_says_what_and_where() -> None:
    error = RecordError("missing_field", "/id", "There is no id.")

    assert (error.code, error.pointer, error.detail) == (
        "missing_field",
        "/id",
        "There is no id.",
    )
    assert str(error) == "missing_field at /id: There is no id."
    assert (
        str(RecordError("bad_json", "", "Cut off.")) == "bad_json at the record: Cut off."
    )


def test_body_error_says_which_status() -> None:
    error = BodyError(413, "too_many_records", "At most 2.")

    assert (error.status, error.code, error.detail) == (
        413,
        "too_many_records",
        "At most 2.",
    )
    assert str(error) == "413 too_many_records: At most 2."
