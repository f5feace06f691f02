"""One turn of pycocotools for bench/coco-eval.ts: evaluates the files in the folder named by the first argument and
prints seconds, the 12 numbers of boxes and of masks, and the process's peak memory as one line of JSON."""
import contextlib
import io
import json
import os
import resource
import sys
import time

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def main(folder):
    report = {}
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        truth = COCO(os.path.join(folder, "gt.json"))
        load_truth = time.perf_counter() - start
        for kind in ("bbox", "segm"):
            begin = time.perf_counter()
            results = truth.loadRes(os.path.join(folder, f"dt_{kind}.json"))
            loaded = time.perf_counter()
            evaluation = COCOeval(truth, results, kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            end = time.perf_counter()
            report[kind] = {
                "load": load_truth + loaded - begin,
                "evaluate": end - loaded,
                "stats": [float(value) for value in evaluation.stats],
            }
    report["peakMemory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(report))


main(sys.argv[1])
