-- What an effect came back with, until the run that applies inputs has applied it: so any process
-- can perform effects, and one applies.
ALTER TABLE effects ADD COLUMN returned text;
ALTER TABLE effects ADD COLUMN returned_place bigint;
INSERT INTO counters (name, next) VALUES ('returned', 1);
CREATE INDEX effects_returned ON effects (returned_place) WHERE returned_place IS NOT NULL;
