"""Boxes on pictures with Python alone: python3 detect_client.py PICTURE… [http://127.0.0.1:8080]"""

import json
import sys
import urllib.request

*pictures, base = (
    sys.argv[1:] if sys.argv[-1].startswith("http") else [*sys.argv[1:], "http://127.0.0.1:8080"]
)
for picture in pictures:
    with open(picture, "rb") as file:
        request = urllib.request.Request(
            f"{base}/detect?confidence=0.3", file.read(), {"content-type": "application/octet-stream"}
        )
    try:
        with urllib.request.urlopen(request) as response:
            [image] = json.load(response)["images"]
    except urllib.error.HTTPError as error:
        print(picture, error.code, json.load(error)["error"], sep=": ")
        continue
    for found in image["detections"]:
        box = found["box"]
        print(picture, found["label"], found["score"], box["x"], box["y"], box["width"], box["height"])
