"""From files of other tools to masks that people gave: which frame, which object, what has changed."""
