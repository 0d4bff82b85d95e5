"""A tensor to the server and back with Triton's client: pip install "tritonclient[http]" numpy; python3 triton_client.py [ADDRESS [MODEL]]"""

import sys

import numpy as np
import tritonclient.http as triton

address, model = (sys.argv[1:] + ["127.0.0.1:8080", "codefinder-int8"][len(sys.argv) - 1 :])[:2]
client = triton.InferenceServerClient(address)
assert client.is_server_ready() and client.is_model_ready(model)
metadata = client.get_model_metadata(model)

[described] = metadata["inputs"]
shape = [1, *described["shape"][1:]]
values = np.random.default_rng(1).random(shape, dtype=np.float32)
tensor = triton.InferInput(described["name"], shape, described["datatype"])
tensor.set_data_from_numpy(values)  # bytes behind the JSON; binary_data=False sends numbers
result = client.infer(model, [tensor])
for output in metadata["outputs"]:
    print(output["name"], result.as_numpy(output["name"]).shape)
