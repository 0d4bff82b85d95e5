"""Native ncnn as a peer: `native.py threads model:size:input:output,…` loads the models, then answers each line `i` on
stdin with the milliseconds of one inference of model i. Needs `pip install ncnn numpy`."""

import sys
import time

import ncnn
import numpy as np

threads = int(sys.argv[1])
models = []
for argument in sys.argv[2:]:
    base, size, blob, outputs = argument.split("|")
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.load_param(base + ".param")
    net.load_model(base + ".bin")
    pixels = np.random.default_rng(1).random((3, int(size), int(size)), dtype=np.float32)
    models.append((net, ncnn.Mat(pixels).clone(), blob, outputs.split(",")))
print("ready", ncnn.__version__, flush=True)
for line in sys.stdin:
    net, pixels, blob, outputs = models[int(line)]
    start = time.perf_counter()
    extractor = net.create_extractor()
    extractor.input(blob, pixels)
    for output in outputs:
        extractor.extract(output)
    print((time.perf_counter() - start) * 1e3, flush=True)
