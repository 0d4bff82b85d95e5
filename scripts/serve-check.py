"""Tensors that tritonclient and curl get from `ncnnkit serve` beside those of `model.run`: they have to be equal, bit for bit.

npm run build && pip install "tritonclient[http]" numpy
python3 scripts/serve-check.py [MODEL] [SIZE]
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import tritonclient.http as triton

root = pathlib.Path(__file__).resolve().parent.parent
model = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else root / "models/codefinder-int8").resolve()
size = sys.argv[2] if len(sys.argv) > 2 else "320"
direct = """
import { readFileSync, writeFileSync } from "node:fs";
import { load } from "./dist/node.js";
const [model, size, folder] = process.argv.slice(1);
const loaded = await load(model);
const data = new Float32Array(new Uint8Array(readFileSync(folder + "/in")).buffer);
const outputs = await loaded.run({ [loaded.manifest.input.blob]: { shape: [3, Number(size), Number(size)], data } });
for (const [name, { data }] of Object.entries(outputs)) writeFileSync(folder + "/" + name, data);
loaded.close();
"""


def compare(what, found, folder, name):
    wanted = np.fromfile(folder / name, np.float32)
    equal = np.array_equal(found.ravel().view(np.uint32), wanted.view(np.uint32))
    print(f"{what}, {name}: {wanted.size} values, {'equal' if equal else 'DIFFERENT'}")
    if not equal:
        sys.exit(1)


def main(folder):
    command = [
        "node",
        "bin/ncnnkit.js",
        "serve",
        model,
        "--size",
        size,
        "--port",
        "0",
        "--threads",
        "1",
        "--quiet",
    ]
    server = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
    try:
        host = name = None
        while not host:
            found = re.match(r"http://(\S+)/ serves (\S+)", server.stderr.readline())
            host, name = found.groups() if found else (None, None)
        values = np.random.default_rng(1).random((1, 3, int(size), int(size)), dtype=np.float32)
        values.tofile(folder / "in")
        subprocess.run(
            ["node", "--input-type=module", "-e", direct, str(model), size, str(folder)], cwd=root, check=True
        )
        client = triton.InferenceServerClient(host)
        metadata = client.get_model_metadata(name)
        outputs = [output["name"] for output in metadata["outputs"]]
        blob = metadata["inputs"][0]["name"]
        for binary_in in [True, False]:
            for binary_out in [True, False]:
                tensor = triton.InferInput(blob, list(values.shape), "FP32")
                tensor.set_data_from_numpy(values, binary_data=binary_in)
                wanted = [triton.InferRequestedOutput(output, binary_data=binary_out) for output in outputs]
                result = client.infer(name, [tensor], outputs=wanted)
                for output in outputs:
                    how = f"tritonclient, {'bytes' if binary_in else 'JSON'} in, {'bytes' if binary_out else 'JSON'} out"
                    compare(how, result.as_numpy(output), folder, output)
        request = {
            "inputs": [
                {"name": blob, "shape": values.shape, "datatype": "FP32", "data": values.ravel().tolist()}
            ]
        }
        (folder / "request.json").write_text(json.dumps(request))
        curl = ["curl", "-s", "-d", f"@{folder}/request.json", f"http://{host}/v2/models/{name}/infer"]
        answer = json.loads(subprocess.run(curl, stdout=subprocess.PIPE, check=True).stdout)
        for output in answer["outputs"]:
            compare("curl, JSON", np.array(output["data"], np.float32), folder, output["name"])
    finally:
        server.terminate()


with tempfile.TemporaryDirectory() as made:
    main(pathlib.Path(made))
