import hashlib

from trainer.text.document import Document, content_key, limited


def test_limit_counts_bytes_of_utf8_and_keeps_the_document_that_reaches_it():
    stream = [Document("d", str(i), "é" * 5) for i in range(10)]  # 10 bytes each
    assert len(list(limited(stream, 25))) == 3
    assert len(list(limited(stream, 30))) == 3
    assert len(list(limited(stream, 31))) == 4
    assert list(limited(stream, 0)) == stream


def test_limit_reads_no_further_than_it_must():
    def endless():
        while True:
            yield Document("d", "k", "x")

    assert len(list(limited(endless(), 7))) == 7


def test_content_key_is_the_sha256_of_the_text():
    assert content_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert content_key("é") == hashlib.sha256(b"\xc3\xa9").hexdigest()
