// Calls a gradwire service as someone who has only its .proto files: stranger.js PACKAGES PROTO_FOLDER ADDRESS.
// Prints one JSON object of what it saw.
'use strict';
const path = require('path');
const [packages, protos, address] = process.argv.slice(2);
const fromPackages = (name) => require(path.join(packages, 'node_modules', name));
const grpc = fromPackages('@grpc/grpc-js');
const loader = fromPackages('@grpc/proto-loader');
const protobuf = fromPackages('protobufjs');

const definition = loader.loadSync(
  ['gradwire/v1/jobs.proto', 'gradwire/v1/blobs.proto', 'gradwire/v1/accounts.proto'],
  { includeDirs: [protos], keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true });
const api = grpc.loadPackageDefinition(definition).gradwire.v1;
const jobs = new api.Jobs(address, grpc.credentials.createInsecure());
const call = (method, request) => new Promise((resolve, reject) =>
  jobs[method](request, { deadline: Date.now() + 20000 }, (error, answer) => error ? reject(error) : resolve(answer)));
const failure = (method, request) => call(method, request).then(
  () => { throw new Error(`${method} did not fail`); }, (error) => error);

// google.rpc.Status and its details, as error_details.proto of googleapis has them.
const rpc = protobuf.parse(`syntax = "proto3"; package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message BadRequest { repeated FieldViolation field_violations = 1;
    message FieldViolation { string field = 1; string description = 2; } }
  message ResourceInfo { string resource_type = 1; string resource_name = 2; }`, { keepCase: true }).root;
function details(error) {
  const body = error.metadata.get('grpc-status-details-bin')[0];
  const status = rpc.lookupType('google.rpc.Status').decode(body);
  const found = {};
  for (const any of status.details) {
    const name = any.type_url.split('/').pop();
    const type = rpc.root.lookup(name);
    if (type) found[name.split('.').pop()] = type.toObject(type.decode(any.value));
  }
  return found;
}

function watch(id) {
  return new Promise((resolve, reject) => {
    const events = [];
    const stream = jobs.WatchJob({ job_id: id }, { deadline: Date.now() + 60000 });
    stream.on('data', (answer) => { if (answer.event) events.push(answer.event); });
    stream.on('end', () => resolve(events));
    stream.on('error', reject);
  });
}

async function main() {
  const code = { entrypoint: 'job.py', files: [{ path: 'job.py', content: Buffer.from('pass\n') }] };
  const spec = { name: 'from-node', code, overrides: { steps: '4' }, labels: { language: 'node' } };
  const request = { spec, request_id: '5f0c1f5e-3c1c-4e7d-9a3e-000000000001' };
  const submitted = (await call('SubmitJob', request)).job;
  const again = (await call('SubmitJob', request)).job;
  const events = await watch(submitted.id);
  const held = (await call('SubmitJob', { spec: { ...spec, overrides: { steps: '2', hold_at: '1' } } })).job;
  await call('CancelJob', { job_id: held.id });
  const ends = await watch(held.id);
  const listed = [];
  let page_token = '';
  do {
    const page = await call('ListJobs', { page_size: 1, page_token });
    listed.push(...page.jobs.map((job) => [job.id, job.state]));
    page_token = page.next_page_token;
  } while (page_token);
  const missing = await failure('GetJob', { job_id: 'nobody' });
  const wrong = await failure('SubmitJob', { spec: { ...spec, workers: 99, device: 'tpu' } });
  console.log(JSON.stringify({
    submitted: submitted.id, again: again.id, held: held.id, listed,
    numbers: events.map((event) => event.number),
    steps: events.filter((event) => event.kind === 'step_finished').map((event) => event.step_finished.step),
    last: events[events.length - 1].state_changed.state,
    cancelled: ends[ends.length - 1].state_changed.state,
    missing: { code: missing.code, ...details(missing) },
    wrong: { code: wrong.code, ...details(wrong) },
  }));
  jobs.close();
}
main().catch((error) => { console.error(error); process.exit(1); });
