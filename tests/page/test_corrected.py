"""The mask that strokes correct is there, whatever a run does meanwhile."""

import hashlib
from pathlib import Path

from stages.steps.page.corrected import keep_mask_seen, mask_seen


def test_a_mask_that_was_seen_is_found_wherever_it_is_and_a_copy_kept(tmp_path: Path) -> None:
    root, scribbles = tmp_path / "outputs", tmp_path / "001.json"
    for folder, content in (("masks", b"new"), ("provisional", b"seen")):
        (root / folder).mkdir(parents=True)
        (root / folder / "a.png").write_bytes(content)
    digest, place = hashlib.sha256(b"seen").hexdigest(), (root, scribbles, 3, "a.jpg")
    assert mask_seen(*place, digest) == root / "provisional" / "a.png"
    assert keep_mask_seen(*place, digest)
    (root / "provisional" / "a.png").unlink()
    copy = mask_seen(*place, digest)
    assert copy is not None and copy.parent.name == "001.seen" and copy.read_bytes() == b"seen"
    assert keep_mask_seen(*place, digest)
    copy.write_bytes(b"damaged")
    assert mask_seen(*place, digest) is None and not keep_mask_seen(*place, digest)
