-- What must survive and is no part of a case: deliveries, people, sessions, tokens.
CREATE TABLE sides (
    side       text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL,
    revision   bigint NOT NULL,
    at         bigint NOT NULL,
    due        bigint,
    lane       text COLLATE "C" NOT NULL,
    belongs_to text COLLATE "C",
    record     text NOT NULL,
    PRIMARY KEY (side, key)
);
CREATE INDEX sides_at ON sides (side, at, key);
CREATE INDEX sides_due ON sides (side, lane, due, key) WHERE due IS NOT NULL;
CREATE INDEX sides_of ON sides (side, belongs_to, at, key) WHERE belongs_to IS NOT NULL;
