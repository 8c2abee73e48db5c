import hashlib
import os

import pytest
from obstore.store import MemoryStore

from ratoon.errors import BackendError, ConfigError, CorruptArtifactError, NotFoundError, RegistryError
from ratoon.registry import folder
from ratoon.registry.objects import ObjectBlobs
from ratoon.registry.store import ArtifactStore


@pytest.fixture(params=["folder", "objects"])
def blobs(request, tmp_path):
    return folder.FolderBlobs(tmp_path / "artifacts") if request.param == "folder" else ObjectBlobs(MemoryStore())


@pytest.fixture
def store(blobs):
    return ArtifactStore("any", blobs=blobs)


def test_what_was_put_comes_back_under_its_sha256(store):
    digest = store.put(b"model")

    assert digest == hashlib.sha256(b"model").hexdigest()
    assert store.get(digest) == b"model"


def test_putting_the_same_bytes_twice_changes_nothing(store):
    assert store.put(b"model") == store.put(b"model")
    assert store.put(b"") != store.put(b"model")


def test_only_what_was_put_exists(store):
    digest = store.put(b"model")

    assert store.exists(digest)
    assert not store.exists("0" * 64)
    with pytest.raises(NotFoundError, match="0" * 64):
        store.get("0" * 64)


@pytest.mark.parametrize("name", ["", "abc", "../../etc/passwd", "A" * 64, "0" * 63 + "/", "0" * 64 + "\n"])
def test_a_name_that_is_no_digest_is_not_looked_for(store, name):
    with pytest.raises(NotFoundError, match="64 hexadecimal"):
        store.get(name)
    with pytest.raises(NotFoundError, match="64 hexadecimal"):
        store.exists(name)


def test_bytes_that_do_not_hash_to_their_name_are_refused_and_replaced_by_a_new_put(store, blobs):
    digest = store.put(b"model")
    blobs.write(f"{digest[:2]}/{digest}", b"forged")

    with pytest.raises(CorruptArtifactError, match=digest):
        store.get(digest)

    store.put(b"model")
    assert store.get(digest) == b"model"


def test_equal_values_have_one_digest_whatever_the_order_of_their_keys(store):
    assert store.put_json({"a": 1, "b": 2}) == store.put_json({"b": 2, "a": 1})


def test_a_write_that_fails_half_way_leaves_nothing_under_the_name(tmp_path, monkeypatch):
    store = ArtifactStore(str(tmp_path))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder.os, "fsync", full)
    with pytest.raises(BackendError, match="No space left"):
        store.put(b"model")

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []
    real_sync, real_replace = os.fsync, folder.Path.replace
    monkeypatch.setattr(folder.os, "fsync", lambda fd: (order.append("sync"), real_sync(fd))[1])
    monkeypatch.setattr(folder.Path, "replace", lambda path, to: (order.append("name"), real_replace(path, to))[1])

    ArtifactStore(tmp_path.as_uri()).put(b"model")

    assert order == ["sync", "sync", "name", "sync"]


def test_options_named_for_delta_lake_open_an_object_store():
    options = {
        "AWS_REGION": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
    }

    assert ArtifactStore("s3://bucket/prefix", options).url == "s3://bucket/prefix"


def test_what_is_not_understood_is_refused():
    with pytest.raises(ConfigError, match="aws_no_such"):
        ArtifactStore("s3://bucket", {"AWS_NO_SUCH": "x"})
    with pytest.raises(RegistryError, match="ftp://"):
        ArtifactStore("ftp://host/x")


def test_a_value_comes_back_as_it_was_stored_and_only_from_its_own_bytes(tmp_path):
    store = ArtifactStore(str(tmp_path))
    digest = store.put_json({"b": [1.5, None], "a": "x"})
    assert store.get_json(digest) == {"a": "x", "b": [1.5, None]}
    with pytest.raises(NotFoundError):
        store.get_json("0" * 64)
