// Submits a job file to a running gradwire service and watches it to the end.
//   npm install && node train.mjs HOST:PORT FILE.py [WORKERS]
// Uses only the .proto files: any language with gRPC can do the same.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [address, file, workers = "1"] = process.argv.slice(2);
if (!address || !file) {
  console.error("usage: node train.mjs HOST:PORT FILE.py [WORKERS]");
  process.exit(2);
}
const root = join(dirname(fileURLToPath(import.meta.url)), "../../../proto");
const definition = loader.loadSync("gradwire/v1/jobs.proto", { includeDirs: [root], longs: Number, enums: String, oneofs: true });
const { Jobs } = grpc.loadPackageDefinition(definition).gradwire.v1;
const jobs = new Jobs(address, grpc.credentials.createInsecure());

const request = {
  requestId: randomUUID(),
  spec: {
    code: { files: [{ path: basename(file), content: readFileSync(file) }], entrypoint: basename(file) },
    workers: Number(workers),
  },
};
const terminal = new Set(["JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"]);

function fail(error) {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exit(error.code === grpc.status.UNAVAILABLE ? 3 : 1);
}

// A stream that breaks is opened again from the last number seen: no event is lost, none comes twice.
function watch(jobId, after) {
  const stream = jobs.watchJob({ jobId, after });
  let state = "";
  stream.on("data", ({ event, cursor }) => {
    if (!event) return; // a heartbeat
    after = cursor;
    if (event.kind === "stateChanged") {
      state = event.stateChanged.state;
      console.log(`${event.number} ${state}`);
    } else if (event.kind === "stepFinished" && event.stepFinished.step % 50 === 0) {
      const { step, totalSteps, metrics } = event.stepFinished;
      console.log(`${event.number} step ${step}/${totalSteps} loss ${metrics.loss.toFixed(4)}`);
    } else if (event.kind === "evaluationFinished") {
      console.log(`${event.number} held out ${JSON.stringify(event.evaluationFinished.metrics)}`);
    }
  });
  stream.on("error", (error) => (error.code === grpc.status.UNAVAILABLE ? setTimeout(() => watch(jobId, after), 500) : fail(error)));
  stream.on("end", () => {
    if (!terminal.has(state)) return;
    jobs.getJob({ jobId }, (error, answer) => {
      if (error) return fail(error);
      console.log(`${answer.job.state} parameters_sha256 ${answer.job.parametersSha256}`);
      process.exit(state === "JOB_STATE_SUCCEEDED" ? 0 : 1);
    });
  });
}

jobs.submitJob(request, (error, answer) => {
  if (error) return fail(error);
  console.log(`submitted ${answer.job.id}`);
  watch(answer.job.id, 0);
});
