-- Calls, and what is counted of them. What was said stands in the document, and is found by `words`.
CREATE TABLE calls (
  seq {seq},
  id TEXT NOT NULL UNIQUE,
  rev BIGINT NOT NULL,
  state TEXT NOT NULL,
  server TEXT NOT NULL,
  tenant TEXT NOT NULL,
  route TEXT NOT NULL,
  agent TEXT NOT NULL,
  direction TEXT NOT NULL,
  transport TEXT NOT NULL,
  from_number TEXT {octets} NOT NULL,
  to_number TEXT {octets} NOT NULL,
  status TEXT NOT NULL,
  ended TEXT,
  verdict TEXT,
  language TEXT,
  started_ms BIGINT NOT NULL,
  ended_ms BIGINT,
  duration_ms BIGINT,
  turns BIGINT NOT NULL,
  interruptions BIGINT NOT NULL,
  false_interruptions BIGINT NOT NULL,
  fillers BIGINT NOT NULL,
  apologies BIGINT NOT NULL,
  errors BIGINT NOT NULL,
  answer_p50_ms BIGINT,
  answer_p95_ms BIGINT,
  answer_max_ms BIGINT,
  cost DOUBLE PRECISION,
  -- Both numbers, sealed, where the columns above have only their keyed hashes.
  numbers {bytes},
  document {bytes} NOT NULL
);
CREATE INDEX calls_by_time ON calls (started_ms, seq);
CREATE INDEX calls_by_agent ON calls (agent, started_ms, seq);
CREATE INDEX calls_by_tenant ON calls (tenant, started_ms, seq);
CREATE INDEX calls_by_from ON calls (from_number, started_ms, seq);
CREATE INDEX calls_by_to ON calls (to_number, started_ms, seq);
CREATE INDEX calls_by_verdict ON calls (verdict, started_ms, seq);

CREATE TABLE legs (
  call_seq BIGINT NOT NULL REFERENCES calls (seq) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  name TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  until_ms BIGINT,
  ended TEXT,
  PRIMARY KEY (call_seq, number)
);

CREATE TABLE turns (
  call_seq BIGINT NOT NULL REFERENCES calls (seq) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  who TEXT NOT NULL,
  kind TEXT,
  at_ms BIGINT NOT NULL,
  until_ms BIGINT NOT NULL,
  interrupted BIGINT NOT NULL,
  transcript_ms BIGINT,
  decided_ms BIGINT,
  requested_ms BIGINT,
  first_text_ms BIGINT,
  first_audio_ms BIGINT,
  first_frame_ms BIGINT,
  PRIMARY KEY (call_seq, number)
);

CREATE TABLE tools (
  call_seq BIGINT NOT NULL REFERENCES calls (seq) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  name TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  took_ms BIGINT,
  result TEXT NOT NULL,
  PRIMARY KEY (call_seq, number)
);

CREATE TABLE providers (
  call_seq BIGINT NOT NULL REFERENCES calls (seq) ON DELETE CASCADE,
  provider TEXT NOT NULL,
  requests BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  audio_ms BIGINT NOT NULL,
  input_tokens BIGINT NOT NULL,
  cached_tokens BIGINT NOT NULL,
  output_tokens BIGINT NOT NULL,
  characters BIGINT NOT NULL,
  cost DOUBLE PRECISION,
  PRIMARY KEY (call_seq, provider)
);

-- Calls that were deleted: what comes late of them is not kept. SHA-256 of the id, and when.
CREATE TABLE deleted (
  id_hash TEXT PRIMARY KEY,
  at_ms BIGINT NOT NULL
);
