"""`lis scribbles ...`: what people said of a sequence is listed, taken back, renamed, joined."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import rich_click as click

from tasks.cli.output import as_json_option, print_json, print_table
from tasks.runtime.options import setting
from tasks.runtime.snapshot import Place, Terms
from tasks.scribbles import Amended, amend, ask_again, decline, show

_WHOSE = (
    click.argument("seq", required=False),
    click.option("--seq", "named_seq", hidden=True),
    click.option("--scribbles", "set_name", default=lambda: setting("scribbles"), help="the scribble set [001]"),
    click.option("--scribbles-root", default=lambda: setting("scribbles_root"), help="folder of <seq>/<set>.json"),
    click.option("--dataset", default=lambda: setting("dataset"), help="of the sequence"),
    click.option("--data-root", default=lambda: setting("data_root"), help="folder of the datasets"),
    click.option("--outputs-root", default=lambda: setting("outputs_root"), help="folder of the results"),
    click.option("--requests", default=lambda: int(setting("requests")), type=int, help="as with lis refine"),
    click.option("--placement", default=lambda: setting("placement"), help="as with lis refine"),
    as_json_option,
)
_frames = click.option("--frame", "frames", type=int, multiple=True, metavar="N", help="frame, from 0; repeatable")
_object = click.option("--object", "object_id", type=int, metavar="K", help="id of an object")
_DRAFTS: Final = {"draft": "being drawn", "ready": "ready", "conflict": "in conflict"}
_dry_run = click.option("--dry-run", is_flag=True, help="only say what would change")


@dataclass(frozen=True)
class _Asked:
    """Whose scribbles are meant, and how to say what was found."""

    place: Place
    terms: Terms
    as_json: bool


def _about_a_set(function: Callable[..., int]) -> Any:
    """The options that say whose scribbles are meant: the command gets them as `_Asked`, and its own ones by name."""

    @wraps(function)
    def call(seq: str | None, named_seq: str | None, as_json: bool, **given: Any) -> int:
        name = seq or named_seq
        if not name:
            raise click.UsageError("found no sequence, expected one: --seq NAME")
        place = Place(given.pop("data_root"), given.pop("outputs_root"), given.pop("dataset"), name)
        terms = Terms(given.pop("set_name"), given.pop("scribbles_root"), given.pop("requests"), given.pop("placement"))
        return function(_Asked(place, terms, as_json), **given)

    decorated: Any = call
    for option in reversed(_WHOSE):
        decorated = option(decorated)
    return decorated


@click.group
def scribbles() -> None:
    """List what people said of a sequence; take it back, rename it, join it.

    Nothing is deleted without a copy in `removed/` beside the scribble set. The next run makes again what depends on
    the change, and nothing else.
    """


@scribbles.command("show")
@_about_a_set
def show_(asked: _Asked) -> int:
    """List frames with their strokes, given masks, corrections and absences; what waits, and what was declined."""
    found = show(asked.place, asked.terms)
    if asked.as_json:
        print_json(found)
        return 0
    names = {str(each["id"]): each["name"] for each in found["objects"]}
    rows = [
        (str(each["frame"]), _state(each), _objects_of(each, names), _remarks(each, names)) for each in found["frames"]
    ]
    rows += [(index, "painted", "", f"not read yet: {', '.join(files)}") for index, files in found["painted"].items()]
    rows += [
        (str(each["frame"]), _DRAFTS[each["state"]], _strokes_of(each["strokes"], names), _remark_on_draft(each))
        for each in found["drafts"]
    ]
    rows += [(str(index), "waiting", "", "") for index in found["waiting"]]
    rows += [(str(index), "declined", "", "") for index in found["declined"]]
    rows += [(str(index), "suggested", "", "by the report") for index in found["suggested"]]
    print_table(("frame", "is", "objects", ""), sorted(rows, key=lambda row: int(row[0])))
    listed = ", ".join(_on_frames(each) for each in found["objects"])
    drawn = f"; a person drew for {found['drawn_s']} s" if found["drawn_s"] else ""
    sys.stdout.write("\n".join([f"{found['file']}: {listed or 'no object'}{drawn}", *found["warnings"]]) + "\n")
    return 0


@scribbles.command
@_about_a_set
@_frames
@_object
@click.option("--ask-again", "asks", is_flag=True, help="ask for scribbles on the frame again")
@_dry_run
def remove(asked: _Asked, frames: tuple[int, ...], object_id: int | None, asks: bool, dry_run: bool) -> int:
    """Take back all that was said of a frame, or one object on a frame, or on all of them.

    A frame that was taken back is declined: nobody is asked for it, and its two stretches become one.
    """
    from stages.steps.amend import remove_frames, remove_object

    if not frames and object_id is None:
        raise click.UsageError("found neither a frame nor an object, expected --frame N, --object K, or both")
    if asks and object_id is not None:
        raise click.UsageError("found --ask-again with --object, expected it with frames that are taken back whole")
    if object_id is None:
        done = amend(asked.place, asked.terms, lambda drawn: remove_frames(drawn, frames), dry_run=dry_run)
        if asks and not dry_run:
            ask_again(asked.place, asked.terms, frames)
    else:
        done = amend(asked.place, asked.terms, lambda drawn: remove_object(drawn, object_id, frames), dry_run=dry_run)
    return _say(asked, done, dry_run=dry_run)


@scribbles.command
@_about_a_set
@click.option("--object", "object_id", type=int, required=True, metavar="K", help="id of an object")
@click.option("--to", "new_id", type=int, required=True, metavar="M", help="an id that is free")
@_dry_run
def rename(asked: _Asked, object_id: int, new_id: int, dry_run: bool) -> int:
    """Give an object another id; strokes, given masks and objects.json follow."""
    from stages.steps.amend import rename as renamed

    done = amend(asked.place, asked.terms, lambda drawn: renamed(drawn, object_id, new_id), dry_run=dry_run)
    return _say(asked, done, dry_run=dry_run)


@scribbles.command
@_about_a_set
@click.option("--object", "object_id", type=int, required=True, metavar="K", help="id of an object")
@click.option("--to", "into", type=int, required=True, metavar="M", help="the object that it is part of")
@_dry_run
def merge(asked: _Asked, object_id: int, into: int, dry_run: bool) -> int:
    """Make one object of two: what was drawn of K belongs to M."""
    from stages.steps.amend import merge_objects

    done = amend(asked.place, asked.terms, lambda drawn: merge_objects(drawn, object_id, into), dry_run=dry_run)
    return _say(asked, done, dry_run=dry_run)


@scribbles.command
@_about_a_set
@click.option("--object", "object_id", type=int, required=True, metavar="K", help="id of an object")
@click.option("--frame", "frames", type=int, multiple=True, required=True, metavar="N", help="frame; repeatable")
@_dry_run
def absent(asked: _Asked, object_id: int, frames: tuple[int, ...], dry_run: bool) -> int:
    """Mark an object as absent on annotated frames, whatever a corrected mask shows; `remove` takes the mark back."""
    from stages.steps.amend import call_absent

    done = amend(asked.place, asked.terms, lambda drawn: call_absent(drawn, object_id, frames), dry_run=dry_run)
    return _say(asked, done, dry_run=dry_run)


@scribbles.command("decline")
@_about_a_set
@_frames
@click.option("--ask-again", "asks", is_flag=True, help="the contrary, for all that were declined if none is named")
@_dry_run
def decline_(asked: _Asked, frames: tuple[int, ...], asks: bool, dry_run: bool) -> int:
    """Let nobody be asked for a frame that waits; the stretches beside it become one."""
    if not frames and not asks:
        raise click.UsageError("found no frame, expected --frame N")
    act = ask_again if asks else decline
    return _say(asked, act(asked.place, asked.terms, frames, dry_run=dry_run), dry_run=dry_run)


def _say(asked: _Asked, done: Amended, *, dry_run: bool) -> int:
    if asked.as_json:
        print_json(
            {
                "sequence": asked.place.seq,
                "scribbles": asked.terms.scribbles,
                "file": str(done.file),
                "frames": list(done.frames),
                "said": list(done.said),
                "removed": str(done.removed or ""),
                "dry_run": dry_run,
            }
        )
        return 0
    lines = [*(done.said or ["nothing to change"])]
    lines += [f"as it was: {done.removed}"] * bool(done.removed)
    lines += ["nothing was changed: --dry-run"] * dry_run
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _state(frame: Mapping[str, Any]) -> str:
    if frame["given_mask"]:
        return "given"
    if frame["corrects"]:
        return "corrected"
    return "scribbled" if frame["strokes"] else "empty"


def _objects_of(frame: Mapping[str, Any], names: Mapping[str, str]) -> str:
    if frame["given_mask"]:
        return ", ".join(names[str(each)] for each in frame["objects_of_mask"])
    return _strokes_of(frame["strokes"], names)


def _strokes_of(counts: Mapping[str, int], names: Mapping[str, str]) -> str:
    return ", ".join(
        f"{'background' if each == '0' else names.get(each, f'object {each}')} ({count} stroke{'s' * (count > 1)})"
        for each, count in counts.items()
    )


def _remark_on_draft(draft: Mapping[str, Any]) -> str:
    what = {"strokes": "", "mask": "a mask", "empty": "nothing is there"}[draft["kind"]]
    return "; ".join(filter(None, [what, f"by {draft['author']}" * bool(draft["author"])]))


def _on_frames(named: Mapping[str, Any]) -> str:
    count, plain = len(named["frames"]), f"object {named['id']}"
    name = plain if named["name"] == plain else f"{named['name']} ({plain})"
    return f"{name} on {count} frame{'s' * (count != 1)}"


def _remarks(frame: Mapping[str, Any], names: Mapping[str, str]) -> str:
    from_boxes = ", ".join(names[str(each)] for each in frame["from_boxes"])
    called_absent = ", ".join(names[str(each)] for each in frame["absent"])
    found = [f"from a box, look at it: {from_boxes}"] * bool(from_boxes)
    found += [f"absent: {called_absent}"] * bool(called_absent)
    found += ["strokes on it are not used"] * bool(frame["given_mask"] and frame["strokes"])
    return "; ".join(found)
