-- What a team would write: events, customers, rules in a table, a claim per rule and customer, an
-- outbox. The rule is judged in the transaction that inserts the events, so that nothing is lost
-- between the two; the worker is woken by a notification and takes what is there.

CREATE TABLE customers (id text PRIMARY KEY, plan text NOT NULL, country text NOT NULL, attributes jsonb NOT NULL);

CREATE TABLE events (
    id text PRIMARY KEY,
    customer text NOT NULL,
    name text NOT NULL,
    at timestamptz NOT NULL,
    properties jsonb NOT NULL
);
CREATE INDEX ON events (customer, name, at);

CREATE TABLE rules (
    id int PRIMARY KEY,
    event text NOT NULL,
    article text,
    amount int NOT NULL,
    plan text,
    counted text,
    at_least int NOT NULL
);
CREATE INDEX ON rules (event);

CREATE TABLE claims (rule int NOT NULL, customer text NOT NULL, PRIMARY KEY (rule, customer));

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule int NOT NULL,
    customer text NOT NULL,
    event text NOT NULL,
    number bigint
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- A batch of events: stored once by their id, judged, claimed, and put into the outbox.
CREATE FUNCTION ingest(ids text[], whose text[], names text[], properties jsonb[]) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    fresh text[];
    sent int;
BEGIN
    WITH stored AS (
        INSERT INTO events
        SELECT id, customer, name, clock_timestamp(), given
        FROM unnest(ids, whose, names, properties) AS item (id, customer, name, given)
        ON CONFLICT DO NOTHING
        RETURNING id
    ) SELECT array_agg(id) INTO fresh FROM stored;

    WITH met AS (
        SELECT DISTINCT ON (rule.id, item.customer) rule.id AS rule, item.customer, item.id AS event,
            (item.given ->> 'number')::bigint AS number
        FROM unnest(ids, whose, names, properties) AS item (id, customer, name, given)
        JOIN rules rule ON rule.event = item.name
        JOIN customers ON customers.id = item.customer
        WHERE item.id = ANY (fresh)
            AND (rule.article IS NULL OR rule.article = item.given ->> 'article')
            AND (item.given ->> 'amount')::int >= rule.amount
            AND (rule.plan IS NULL OR rule.plan = customers.plan)
            AND (rule.counted IS NULL OR rule.at_least <= (
                SELECT count(*) FROM events past
                WHERE past.customer = item.customer AND past.name = rule.counted
                    AND past.at > now() - interval '7 days'))
        ORDER BY rule.id, item.customer, item.id
    ), claimed AS (
        INSERT INTO claims SELECT rule, customer FROM met ON CONFLICT DO NOTHING RETURNING rule, customer
    )
    INSERT INTO outbox (rule, customer, event, number)
    SELECT rule, customer, event, number FROM met JOIN claimed USING (rule, customer);
    GET DIAGNOSTICS sent = ROW_COUNT;
    IF sent > 0 THEN
        PERFORM pg_notify('outbox', '');
    END IF;
    RETURN sent;
END
$$;
