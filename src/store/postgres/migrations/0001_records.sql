-- What a store holds. Keys are the printable text of `store::keys`, in byte order; records are the
-- same JSON as in every other store; beside them stand only the columns that are looked for.
CREATE TABLE records (
    key   text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);
CREATE TABLE counters (
    name text PRIMARY KEY,
    next bigint NOT NULL
);
INSERT INTO counters (name, next) VALUES ('input', 1), ('effect', 1);

-- Every input that ever came; the number is the order in which they became durable.
CREATE TABLE inputs (
    number bigint PRIMARY KEY,
    seen   text COLLATE "C" NOT NULL UNIQUE,
    record text NOT NULL
) WITH (toast_tuple_target = 8160);
-- Those that wait for a step. Narrow, since a row is written and removed for each.
CREATE TABLE waiting (
    number     bigint PRIMARY KEY,
    tries      integer NOT NULL DEFAULT 0,
    ready_at   bigint,
    not_before text
) WITH (fillfactor = 70);
CREATE INDEX waiting_deferred ON waiting (ready_at, number) WHERE ready_at IS NOT NULL;

CREATE TABLE cases (
    id           text COLLATE "C" PRIMARY KEY,
    revision     bigint NOT NULL,
    state        text COLLATE "C" NOT NULL,
    ended        boolean NOT NULL,
    customer     text COLLATE "C",
    subscription text COLLATE "C",
    invoice      text COLLATE "C" NOT NULL,
    gateway      text COLLATE "C" NOT NULL,
    opened_at    bigint NOT NULL,
    due_at       bigint,
    record       text NOT NULL
) WITH (toast_tuple_target = 8160, fillfactor = 80);
CREATE INDEX cases_due ON cases (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX cases_opened ON cases (opened_at, id);
CREATE INDEX cases_state ON cases (state, opened_at, id);
CREATE INDEX cases_customer ON cases (customer, opened_at, id);
CREATE INDEX cases_invoice ON cases (invoice, opened_at, id);
CREATE INDEX cases_subscription ON cases (subscription) WHERE subscription IS NOT NULL AND NOT ended;
CREATE TABLE payments (
    payment text COLLATE "C" NOT NULL,
    case_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (payment, case_id)
);
CREATE INDEX payments_case ON payments (case_id);
CREATE TABLE state_counts (
    state text COLLATE "C" PRIMARY KEY,
    cases bigint NOT NULL
);
CREATE TABLE ledger (
    case_id  text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    record   text NOT NULL,
    PRIMARY KEY (case_id, sequence)
);

CREATE TABLE messages (
    id      text COLLATE "C" PRIMARY KEY,
    case_id text COLLATE "C" NOT NULL,
    sent_at bigint NOT NULL,
    address text COLLATE "C",
    record  text NOT NULL
);
CREATE INDEX messages_case ON messages (case_id, sent_at, id);
CREATE INDEX messages_sent ON messages (sent_at, id);
CREATE INDEX messages_address ON messages (address) WHERE address IS NOT NULL;

-- The processes that work on the store. A run that has ended can write nothing any more.
CREATE TABLE runs (
    run      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until    timestamptz NOT NULL,
    ended_at timestamptz
);
-- The one run that applies inputs; the others perform effects.
CREATE TABLE leader (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    run bigint
);
INSERT INTO leader DEFAULT VALUES;

-- `begun_by`: an earlier run held it and ended, so it may have been performed.
CREATE TABLE effects (
    id         text COLLATE "C" PRIMARY KEY,
    place      bigint NOT NULL,
    ready_at   bigint NOT NULL,
    ready_text text NOT NULL,
    tries      integer NOT NULL DEFAULT 0,
    claimed_by bigint,
    begun_by   bigint,
    record     text NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX effects_ready ON effects (ready_at, place) WHERE claimed_by IS NULL;
CREATE INDEX effects_claimed ON effects (claimed_by) WHERE claimed_by IS NOT NULL;
