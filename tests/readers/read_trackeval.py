"""trackeval: `read_trackeval.py FORMAT FOLDER TRACKERS OUT`: an export as ground truth, a tracker's results against it.

OUT gets the measures as JSON: sequence -> class -> measure -> value.
"""

import json
import sys
from pathlib import Path

import numpy as np
import trackeval
from trackeval.metrics import CLEAR, HOTA, Identity, JAndF

form, folder, trackers, out = sys.argv[1:]
quiet = {"PRINT_CONFIG": False}
if form == "mots":
    data = trackeval.datasets.MOTSChallenge({"GT_FOLDER": folder, "TRACKERS_FOLDER": trackers, **quiet})
elif form == "youtube-vis":
    split = {"SPLIT_TO_EVAL": "train"}
    data = trackeval.datasets.YouTubeVIS({"GT_FOLDER": folder, "TRACKERS_FOLDER": trackers, **split, **quiet})
else:
    masks, sequences = f"{folder}/Annotations/480p", f"{folder}/ImageSets/2017/train.txt"
    data = trackeval.datasets.DAVIS(
        {"GT_FOLDER": masks, "TRACKERS_FOLDER": trackers, "SEQMAP_FILE": sequences, **quiet}
    )
metrics = [JAndF()] if form == "davis" else [HOTA(), CLEAR({"PRINT_CONFIG": False}), Identity({"PRINT_CONFIG": False})]
off = dict.fromkeys(["PRINT_RESULTS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES", "TIME_PROGRESS"], False)
results, _ = trackeval.Evaluator({"LOG_ON_ERROR": None, **off, **quiet}).evaluate([data], metrics)
measured = results[data.get_name()]["self"]
Path(out).write_text(json.dumps(measured, default=lambda value: np.asarray(value).tolist()), encoding="utf-8")
