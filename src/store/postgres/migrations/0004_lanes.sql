-- Whom an effect waits for, so that no more of a lane is claimed than has room (`core::lane`).
ALTER TABLE effects ADD COLUMN lane text COLLATE "C";
UPDATE effects e SET lane = coalesce(
    'channel:' || (e.record::json #>> '{order,send,channel}'),
    (SELECT string_agg(g.name, '+' ORDER BY g.name) FROM (
        SELECT o.value ->> 'gateway' COLLATE "C" AS name
        FROM json_each(e.record::json -> 'order') AS o (kind, value)
        UNION
        SELECT a #>> '{charge,gateway}' COLLATE "C"
        FROM json_array_elements(e.record::json #> '{order,check,attempts}') AS a
    ) AS g));
ALTER TABLE effects ALTER COLUMN lane SET NOT NULL;
CREATE INDEX effects_lane ON effects (lane, ready_at, place) WHERE claimed_by IS NULL;
