-- A store on PostgreSQL as version 4, the first there, made it; with one job.
CREATE SEQUENCE job_revisions;
CREATE TABLE audit (
    sequence BIGSERIAL NOT NULL,
    time_us BIGINT NOT NULL,
    owner VARCHAR(64) NOT NULL,
    token VARCHAR(64) NOT NULL,
    peer VARCHAR NOT NULL,
    action VARCHAR(32) NOT NULL,
    subject VARCHAR(64) NOT NULL,
    PRIMARY KEY (sequence)
);
CREATE INDEX audit_by_subject ON audit (subject, sequence);
CREATE TABLE code (
    sha256 VARCHAR(64) NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (sha256)
);
CREATE TABLE leases (
    name VARCHAR(32) NOT NULL,
    holder VARCHAR(200) NOT NULL,
    address VARCHAR(200) NOT NULL,
    token BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE store_version (
    version SERIAL NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE tokens (
    sequence BIGSERIAL NOT NULL,
    id VARCHAR(64) NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    last4 VARCHAR(4) NOT NULL,
    owner VARCHAR(64) NOT NULL,
    scope INTEGER NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT,
    revoked_us BIGINT,
    PRIMARY KEY (sequence),
    UNIQUE (id),
    UNIQUE (sha256)
);
CREATE TABLE jobs (
    sequence BIGSERIAL NOT NULL,
    id VARCHAR(64) NOT NULL,
    spec BYTEA NOT NULL,
    code_sha256 VARCHAR(64) NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    create_time_us BIGINT NOT NULL,
    start_time_us BIGINT,
    end_time_us BIGINT,
    workers INTEGER NOT NULL,
    step BIGINT NOT NULL,
    total_steps BIGINT NOT NULL,
    epochs INTEGER NOT NULL,
    evaluated_step BIGINT NOT NULL,
    checkpoint_step BIGINT NOT NULL,
    last_event INTEGER NOT NULL,
    metrics VARCHAR NOT NULL,
    evaluation_metrics VARCHAR NOT NULL,
    parameters_sha256 VARCHAR(64) NOT NULL,
    error BYTEA,
    checkpoint VARCHAR NOT NULL,
    attempt INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    report BIGINT NOT NULL,
    first_step_seconds FLOAT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    pause_requested BOOLEAN NOT NULL,
    wanted_workers INTEGER NOT NULL,
    options_history VARCHAR NOT NULL,
    wanted_options VARCHAR NOT NULL,
    options_number INTEGER NOT NULL,
    chain VARCHAR(64) NOT NULL,
    owner VARCHAR(64) NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (sequence),
    CONSTRAINT known_state CHECK (state BETWEEN 1 AND 9),
    UNIQUE (id),
    FOREIGN KEY(code_sha256) REFERENCES code (sha256)
);
CREATE INDEX jobs_by_owner ON jobs (owner, sequence);
CREATE UNIQUE INDEX jobs_by_revision ON jobs (revision);
CREATE INDEX jobs_by_state ON jobs (state, sequence);
CREATE TABLE events (
    sequence BIGSERIAL NOT NULL,
    job BIGINT NOT NULL,
    number INTEGER NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (sequence),
    UNIQUE (job, number),
    FOREIGN KEY(job) REFERENCES jobs (sequence)
);
CREATE TABLE requests (
    owner VARCHAR(64) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    job BIGINT NOT NULL,
    PRIMARY KEY (owner, request_id),
    FOREIGN KEY(job) REFERENCES jobs (sequence)
);
INSERT INTO store_version VALUES (4);
INSERT INTO code VALUES ('c', '\x');
INSERT INTO jobs VALUES (
    nextval('jobs_sequence_seq'), 'old', '\x0a036f6c64', 'c', 1, 0, 1000000000000000, NULL, NULL, 0, 0, 0, 0, 0, 0, 1, '{}', '{}', '',
    NULL, '', 0, 0, 0, 0, 0.0, false, false, 2, '[]', '{}', 0, '', 'ann', nextval('job_revisions'));
INSERT INTO events (job, number, body) VALUES (1, 1, '\x08011a020801');
