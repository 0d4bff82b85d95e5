// k6 run -e PICTURE=/path/photo.jpg [-e BASE=http://127.0.0.1:8080] [-e RATE=50] load.js
// Requests at a fixed rate: what is accepted has to be answered in time, what is not has to be 503.
import { check } from "k6";
import http from "k6/http";

const base = __ENV.BASE || "http://127.0.0.1:8080";
const picture = open(__ENV.PICTURE, "b");

export const options = {
  scenarios: {
    steady: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 50),
      duration: __ENV.DURATION || "20s",
      preAllocatedVUs: 200,
    },
  },
  thresholds: {
    checks: ["rate==1"],
    "http_req_duration{expected_response:true}": ["p(99)<2000"],
  },
};

export default function () {
  const headers = { "content-type": "image/jpeg", "x-timeout-ms": "2000" };
  const response = http.post(`${base}/detect`, picture, { headers });
  check(response, { "answered or refused": ({ status }) => status === 200 || status === 503 });
}
