"""What is wrong with a posted record, or with the whole body it came in."""


class RecordError(Exception):
    """One record cannot be taken; the others of its body can.

    `code` is stable snake_case, `pointer` a JSON pointer relative to the record ("" is
    the record itself), `detail` one sentence for the person who reads the reply.
    """

    def __init__(self, code: str, pointer: str, detail: str) -> None:
        super().__init__(code, pointer, detail)
        self.code = code
        self.pointer = pointer
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code} at {self.pointer or 'the record'}: {self.detail}"


def contradiction(pointer: str, detail: str) -> RecordError:
    """Return the error of a record whose parts cannot all be true."""
    return RecordError("contradiction", pointer, detail)


class BodyError(Exception):
    """A body that cannot be cut into records: nothing of it is taken.

    `status` is the HTTP status: 400 undecodable, 413 too large, 415 not JSON.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"
