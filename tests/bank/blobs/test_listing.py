"""What a store lists of blobs."""

from __future__ import annotations

from taskbank.bank.blobs.listing import Listing
from taskbank.digests import digest_bytes


def test_each_blob_has_its_validator() -> None:
    """Equal texts give equal answers, other texts others, and what is not listed none."""
    digests = sorted(digest_bytes(str(number).encode()) for number in range(100))
    listing = Listing((digest, f"etag {number % 50}") for number, digest in enumerate(digests))
    found = [listing.get(digest) for digest in digests]
    assert None not in found
    assert found[:50] == found[50:]
    assert len(set(found)) == 50
    assert listing.get(digest_bytes(b"another")) is None
    assert Listing(()).get(digests[0]) is None


def test_what_a_store_lists_out_of_order_is_not_listed() -> None:
    """A store that lists a blob twice, or in another order, proves nothing by it."""
    one, two, three = sorted(digest_bytes(text) for text in (b"1", b"2", b"3"))
    listing = Listing([(two, "a"), (two, "b"), (one, "c"), (three, "d")])
    alone = Listing([(two, "a"), (three, "d")])
    assert [listing.get(digest) for digest in (one, two, three)] == [
        alone.get(digest) for digest in (one, two, three)
    ]
    assert len(listing) == 2
