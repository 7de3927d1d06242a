import { parentPort } from "node:worker_threads";
import { runCopyJob } from "./run-copy-job.ts";
import { packFailure, type WorkerRequest, type WorkerResponse } from "./worker-messages.ts";

parentPort?.on("message", ({ id, job }: WorkerRequest) => {
  let response: WorkerResponse;
  try {
    response = { id, result: runCopyJob(job) };
  } catch (error) {
    response = { id, failure: packFailure(error) };
  }
  const buffer = "result" in response ? response.result.bytes?.buffer : undefined;
  parentPort?.postMessage(response, buffer instanceof ArrayBuffer ? [buffer] : []);
});
