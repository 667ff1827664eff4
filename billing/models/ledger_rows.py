"""The same tables once more, for the admin, which cannot show a composite key.

Read-only twins: their one-column key is the record's uid.
"""

from django.db import models

from billing.models.ledger import (
    QuarantinedRecord,
    QuarantinedRecordFields,
    UnpricedRecord,
    UnpricedRecordFields,
    UsageFields,
    UsageRecord,
    Void,
    VoidFields,
)


class UsageRecordRow(UsageFields):
    uid = models.UUIDField(primary_key=True)

    class Meta:
        managed = False
        db_table = UsageRecord._meta.db_table
        verbose_name = "usage record"
        permissions = [("void_usagerecord", "Can take usage records back")]

    def __str__(self) -> str:
        return self.record_id


class UnpricedRecordRow(UnpricedRecordFields):
    record_uid = models.UUIDField(primary_key=True)

    class Meta:
        managed = False
        db_table = UnpricedRecord._meta.db_table
        verbose_name = "unpriced record"

    def __str__(self) -> str:
        return self.record_id


class QuarantinedRecordRow(QuarantinedRecordFields):
    record_uid = models.UUIDField(primary_key=True)

    class Meta:
        managed = False
        db_table = QuarantinedRecord._meta.db_table
        verbose_name = "quarantined record"
        permissions = [("redrive_quarantinedrecord", "Can re-drive quarantined records")]

    def __str__(self) -> str:
        return self.record_id


class VoidRow(VoidFields):
    record_uid = models.UUIDField(primary_key=True)

    class Meta:
        managed = False
        db_table = Void._meta.db_table
        verbose_name = "void"

    def __str__(self) -> str:
        return self.record_id
