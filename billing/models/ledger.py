"""The ledger: facts, the money they cost, and the notes that they still must be counted.

These tables are divided by team (docs/adr/0003): `team_id` stands in every key, foreign
keys out of them exist in the ORM only, and the service roles have no right to change or
delete a usage record or a charge. Usage records and charges are partitioned by the UTC
month of `occurred_at`. The tables themselves are made in migration 0002, in SQL.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from billing.models.catalog import LanguageModel
from billing.models.rates import Rate
from billing.models.rerates import Rerate
from teams.models import Project, Team


def team_key() -> "models.ForeignKey[Team, Team]":
    return models.ForeignKey(
        Team, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )


def project_key() -> "models.ForeignKey[Project, Project]":
    return models.ForeignKey(
        Project,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )


def _later_count(help_text: str = "") -> "models.BigIntegerField[int, int]":
    """A count that came to the tables later: what does not know it yet writes none."""
    return models.BigIntegerField(default=0, db_default=0, help_text=help_text)


class Counts(models.Model):
    """Quantities of the disjoint token classes, and of counted tools."""

    input = models.BigIntegerField()
    cache_write_5m = models.BigIntegerField()
    cache_write_1h = models.BigIntegerField()
    cache_read = models.BigIntegerField()
    output = models.BigIntegerField()
    web_search = models.BigIntegerField()
    input_audio = _later_count()
    cache_read_audio = _later_count()
    output_audio = _later_count()
    output_image = _later_count()
    session = _later_count("Milliseconds that a managed agent ran.")

    class Meta:
        abstract = True


class Conditions(models.Model):
    """What a price depends on besides the model."""

    processing = models.CharField(max_length=32)
    speed = models.CharField(max_length=32)
    geo = models.CharField(max_length=32)
    endpoint = models.CharField(max_length=32)

    class Meta:
        abstract = True


class UsageFields(Conditions, Counts):
    """What was used, when, by whom: the columns of a usage record."""

    team = team_key()
    project = project_key()
    record_id = models.CharField(max_length=200)
    month = models.DateField(help_text="First day of the UTC month of occurred_at.")
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    route = models.CharField(max_length=20, help_text="By which way in it came.")
    api_key = models.BigIntegerField(null=True)
    provider = models.CharField(max_length=40)
    model_name = models.CharField(max_length=200, help_text="As the provider named it.")
    usage_format = models.CharField(max_length=40)
    unbilled = models.CharField(
        max_length=40, help_text="Why the provider charges nothing, where it does not."
    )
    thinking = models.BigIntegerField(help_text="Part of output; it has no own price.")
    flags = ArrayField(models.CharField(max_length=40))
    verbatim = models.JSONField(
        null=True, help_text="The usage object, where the columns cannot reproduce it."
    )
    tags = models.JSONField()
    fingerprint = models.BinaryField(help_text="What a second posting must equal.")
    hold = models.UUIDField(null=True, help_text="The hold that it was posted with.")

    class Meta:
        abstract = True


class UsageRecord(UsageFields):
    """The fact. Immutable."""

    pk = models.CompositePrimaryKey("team_id", "project_id", "record_id", "month")
    uid = models.UUIDField(help_text="UUIDv7, made here; names the record in one column.")

    class Meta:
        db_table = "billing_usage_record"
        indexes = [
            # Counting and the admin find a record by its uid alone.
            models.Index(fields=["uid"], name="usage_record_uid")
        ]

    def __str__(self) -> str:
        return self.record_id


class Charge(Conditions, Counts):
    """What a record cost, at one rate. Append-only: a correction is another charge.

    `leg` numbers the charges of one pricing of a record, whose steps may run on several
    models; leg 0 stands for the request. `revision` numbers the pricings. Each pricing
    after the first begins by taking back the one before: leg -1 - n is the opposite of
    its leg n. So all charges of a record together are its usage at its last price, and
    the legs of its last pricing that are not negative are in force. The last pricing of a
    void record takes back and charges nothing.
    """

    pk = models.CompositePrimaryKey("team_id", "record_uid", "month", "revision", "leg")
    team = team_key()
    record_uid = models.UUIDField()
    month = models.DateField()
    revision = models.SmallIntegerField()
    leg = models.SmallIntegerField()
    posted_at = models.DateTimeField()
    project = project_key()
    model = models.ForeignKey(
        LanguageModel,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    rate = models.ForeignKey(
        Rate,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        null=True,
    )
    context_tier = models.PositiveIntegerField()
    occurred_at = models.DateTimeField()
    day = models.DateField(
        help_text="Of the record, in the reporting zone. Once its month is closed: the day "
        "it was charged on, as an adjustment."
    )
    cost = models.DecimalField(max_digits=27, decimal_places=15)
    reason = models.CharField(max_length=40, help_text="Why it costs nothing, if so.")
    rerate = models.ForeignKey(
        Rerate,
        models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        null=True,
        help_text="Which re-rate added it, if one did.",
    )

    class Meta:
        db_table = "billing_charge"

    def __str__(self) -> str:
        return f"{self.cost}"


class Tally(models.Model):
    """Of so many records that were received, what became of each.

    Null in a posting of code that knew no receipts: it received and accepted its records.
    """

    received = models.IntegerField(null=True, default=0)
    accepted = models.IntegerField(null=True, default=0)
    duplicates = models.IntegerField(default=0, db_default=0)
    conflicts = models.IntegerField(default=0, db_default=0)
    rejected = models.IntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


class Posting(Tally):
    """The durable note, written with its records, that they must be priced and counted.

    It says besides what was received with them. One of no records says that alone.
    """

    pk = models.CompositePrimaryKey("team_id", "uid")
    team = team_key()
    uid = models.UUIDField(help_text="UUIDv7: the order of arrival.")
    received_at = models.DateTimeField()
    record_uids = ArrayField(models.UUIDField())
    records = models.IntegerField(help_text="How many those are.")
    months = ArrayField(models.DateField(), help_text="Of those records, without repeats.")
    api_key = models.BigIntegerField(default=0, db_default=0, help_text="0: none.")
    route = models.CharField(max_length=20, default="", db_default="")

    class Meta:
        db_table = "billing_posting"

    def __str__(self) -> str:
        return str(self.uid)


class UnpricedRecordFields(models.Model):
    team = team_key()
    month = models.DateField()
    project = project_key()
    record_id = models.CharField(max_length=200)
    provider = models.CharField(max_length=40)
    model_name = models.CharField(max_length=200)
    reason = models.CharField(max_length=40)
    detail = models.TextField()
    tried_at = models.DateTimeField()
    book = models.CharField(
        max_length=64, help_text="The prices it was last tried with; others try again."
    )

    class Meta:
        abstract = True


class UnpricedRecord(UnpricedRecordFields):
    """A record we know no price for: kept apart, never counted as zero."""

    pk = models.CompositePrimaryKey("team_id", "record_uid", "month")
    record_uid = models.UUIDField()

    class Meta:
        db_table = "billing_unpriced_record"

    def __str__(self) -> str:
        return f"{self.record_id}: {self.detail}"


class QuarantinedRecordFields(models.Model):
    team = team_key()
    month = models.DateField()
    project = project_key()
    record_id = models.CharField(max_length=200)
    detail = models.TextField(help_text="What went wrong when it was priced.")
    quarantined_at = models.DateTimeField()

    class Meta:
        abstract = True


class QuarantinedRecord(QuarantinedRecordFields):
    """A record that pricing failed on: set aside so that the others go on."""

    pk = models.CompositePrimaryKey("team_id", "record_uid", "month")
    record_uid = models.UUIDField()

    class Meta:
        db_table = "billing_quarantined_record"

    def __str__(self) -> str:
        return f"{self.record_id}: {self.detail}"


class VoidFields(models.Model):
    team = team_key()
    month = models.DateField()
    project = project_key()
    record_id = models.CharField(max_length=200)
    voided_at = models.DateTimeField()
    voided_by = models.CharField(max_length=250)
    reason = models.CharField(max_length=1000)
    corrected_by = models.UUIDField(
        null=True, help_text="The record that stands in its place, if one does."
    )
    correction_id = models.CharField(max_length=200, help_text="The id of that one.")

    class Meta:
        abstract = True


class Void(VoidFields):
    """A record was taken back: who did it, when and why. Append-only, like the record.

    It is written with a posting that names the record. Counting takes back its charges.
    """

    # Counting asks for all of a month.
    pk = models.CompositePrimaryKey("team_id", "month", "record_uid")
    record_uid = models.UUIDField()

    class Meta:
        db_table = "billing_void"
        indexes = [
            # What a record corrects is found by the record.
            models.Index(
                fields=["team", "corrected_by"],
                condition=models.Q(corrected_by__isnull=False),
                name="void_of_correction",
            )
        ]

    def __str__(self) -> str:
        return self.record_id
