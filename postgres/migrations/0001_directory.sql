-- What gateways share: who may do what, which sessions have ended, and which gateways there are.
--
-- A statement that changes customers or users is noted in `changes` under a revision, by whomever it
-- is made: gateways read what was noted since the revision that they have.

-- A revision comes from an update in the transaction that writes: revisions become visible in
-- their order, which those of a sequence do not. Each has a mark, by which who follows knows a
-- database that was restored and counts the same numbers again.
CREATE TABLE iem_gateway.revisions (
    name text PRIMARY KEY,
    revision bigint NOT NULL DEFAULT 0,
    mark uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO iem_gateway.revisions (name) VALUES ('directory'), ('sessions'), ('failures');

-- The latest marks.
CREATE TABLE iem_gateway.marks (
    name text NOT NULL,
    revision bigint NOT NULL,
    mark uuid NOT NULL,
    PRIMARY KEY (name, revision)
);

CREATE FUNCTION iem_gateway.note_mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.mark := gen_random_uuid();
    INSERT INTO iem_gateway.marks (name, revision, mark) VALUES (NEW.name, NEW.revision, NEW.mark)
        ON CONFLICT (name, revision) DO UPDATE SET mark = excluded.mark;
    DELETE FROM iem_gateway.marks WHERE name = NEW.name AND revision <= NEW.revision - 10000;
    RETURN NEW;
END
$$;
CREATE TRIGGER note_mark BEFORE UPDATE ON iem_gateway.revisions
    FOR EACH ROW EXECUTE FUNCTION iem_gateway.note_mark();

-- The key of digests that gateways tell each other.
CREATE TABLE iem_gateway.secrets (
    name text PRIMARY KEY,
    value text NOT NULL
);
INSERT INTO iem_gateway.secrets VALUES
    ('logins', replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''));

CREATE TABLE iem_gateway.customers (
    id text PRIMARY KEY CHECK (id <> '' AND id = btrim(id) AND id !~ '[[:cntrl:]]'),
    name text NOT NULL,
    active boolean NOT NULL DEFAULT true
);

-- Without a row, or without a rate, a customer may send what all others may; 0 is without a bound.
CREATE TABLE iem_gateway.quotas (
    customer text PRIMARY KEY REFERENCES iem_gateway.customers ON DELETE CASCADE ON UPDATE CASCADE,
    records bigint CHECK (records BETWEEN 0 AND 4294967295),
    bytes bigint CHECK (bytes BETWEEN 0 AND 4294967295)
);

-- States map the ITSM tool's numbers to names, as {"6": "resolved"}; without any, the defaults hold.
CREATE TABLE iem_gateway.integrations (
    customer text NOT NULL REFERENCES iem_gateway.customers ON DELETE CASCADE ON UPDATE CASCADE,
    id text NOT NULL CHECK (id <> '' AND id = btrim(id) AND id !~ '[[:cntrl:]]'),
    states jsonb CHECK (jsonb_typeof(states) = 'object'),
    PRIMARY KEY (customer, id)
);

CREATE TABLE iem_gateway.users (
    email text PRIMARY KEY CHECK (
        email <> '' AND email = btrim(email) AND email !~ '[[:cntrl:]:]' AND octet_length(email) <= 254
    ),
    name text NOT NULL,
    -- Without one the user calls with tokens of an external issuer, or with a client certificate.
    password text CHECK (password LIKE '$argon2id$%'),
    superadmin boolean NOT NULL DEFAULT false,
    organization boolean NOT NULL DEFAULT false,
    enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE iem_gateway.associations (
    email text NOT NULL REFERENCES iem_gateway.users ON DELETE CASCADE ON UPDATE CASCADE,
    customer text NOT NULL REFERENCES iem_gateway.customers ON DELETE CASCADE ON UPDATE CASCADE,
    PRIMARY KEY (email, customer)
);
CREATE INDEX ON iem_gateway.associations (customer);

-- The audit trail, and what gateways follow. Of the kind `all`, everything may be different.
CREATE TABLE iem_gateway.changes (
    revision bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('customer', 'user', 'all')),
    key text NOT NULL,
    change text NOT NULL,
    -- Who says to make it, and the database's user who does.
    actor text NOT NULL,
    role text NOT NULL DEFAULT session_user,
    changed timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON iem_gateway.changes (revision);

-- Sessions that a user began with a password until a time have ended. All times are milliseconds of
-- Unix time.
CREATE TABLE iem_gateway.ended_passwords (
    email text NOT NULL,
    password_version text NOT NULL,
    until_ms bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (email, password_version)
);
CREATE INDEX ON iem_gateway.ended_passwords (revision);

-- One session has ended.
CREATE TABLE iem_gateway.ended_sessions (
    session text PRIMARY KEY,
    email text NOT NULL,
    password_version text NOT NULL,
    ended_ms bigint NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX ON iem_gateway.ended_sessions (revision);

-- The newest refresh token of a session that was used.
CREATE TABLE iem_gateway.refreshes (
    session text PRIMARY KEY,
    email text NOT NULL,
    generation bigint NOT NULL,
    first_ms bigint NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX ON iem_gateway.refreshes (revision);

-- The gateways, when they were last here, and what they had read by then.
CREATE TABLE iem_gateway.gateways (
    id text PRIMARY KEY,
    seen timestamptz NOT NULL,
    revision bigint NOT NULL,
    version text NOT NULL
);

-- What each gateway was lately asked to take a second of customers with a quota. Of no use after a
-- crash.
CREATE UNLOGGED TABLE iem_gateway.demand (
    gateway text NOT NULL,
    customer text NOT NULL,
    records double precision NOT NULL,
    bytes double precision NOT NULL,
    noted timestamptz NOT NULL,
    PRIMARY KEY (gateway, customer)
);
CREATE INDEX ON iem_gateway.demand (customer);

-- Log-ins that failed at a gateway, lately. Of the name there are 24 bits of a digest, so that nobody
-- learns it: it may be a password that was typed in the wrong place.
CREATE UNLOGGED TABLE iem_gateway.failed_logins (
    revision bigint NOT NULL,
    gateway text NOT NULL,
    name integer NOT NULL,
    peer text NOT NULL,
    failures integer NOT NULL,
    noted timestamptz NOT NULL
);
CREATE INDEX ON iem_gateway.failed_logins (revision);

-- Returns the revision of the transaction's changes to the directory, the same each time.
CREATE FUNCTION iem_gateway.next_revision() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    own bigint := nullif(current_setting('iem_gateway.revision', true), '');
BEGIN
    IF own IS NULL THEN
        UPDATE iem_gateway.revisions SET revision = revision + 1 WHERE name = 'directory'
            RETURNING revision INTO own;
        PERFORM set_config('iem_gateway.revision', own::text, true);
        PERFORM pg_notify('iem_gateway', '');
    END IF;
    RETURN own;
END
$$;

CREATE FUNCTION iem_gateway.note_all(change text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO iem_gateway.changes (revision, kind, key, change, actor)
    VALUES (
        iem_gateway.next_revision(), 'all', '', change,
        coalesce(nullif(current_setting('iem_gateway.actor', true), ''), session_user)
    )
$$;

-- Notes what a statement changed: arguments are the kind, and the column of its key.
CREATE FUNCTION iem_gateway.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    change text := format('%s %s', lower(TG_OP), TG_TABLE_NAME);
    rows text;
    has_rows boolean;
BEGIN
    -- One note for all of a transaction that changes very much.
    IF current_setting('iem_gateway.bulk', true) = 'on' THEN
        IF current_setting('iem_gateway.bulk_noted', true) IS DISTINCT FROM txid_current()::text THEN
            PERFORM set_config('iem_gateway.bulk_noted', txid_current()::text, true);
            PERFORM iem_gateway.note_all('bulk');
        END IF;
        RETURN NULL;
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        PERFORM iem_gateway.note_all(change);
        RETURN NULL;
    END IF;
    rows := CASE TG_OP
        WHEN 'INSERT' THEN format('SELECT %I AS key FROM after', TG_ARGV[1])
        WHEN 'DELETE' THEN format('SELECT %I AS key FROM before', TG_ARGV[1])
        ELSE format('SELECT %1$I AS key FROM before UNION SELECT %1$I FROM after', TG_ARGV[1])
    END;
    EXECUTE format('SELECT EXISTS (%s)', rows) INTO has_rows;
    IF has_rows THEN
        EXECUTE format(
            'INSERT INTO iem_gateway.changes (revision, kind, key, change, actor)
             SELECT DISTINCT $1, $2, key, $3, $4 FROM (%s) AS rows',
            rows
        )
        USING iem_gateway.next_revision(), TG_ARGV[0], change,
            coalesce(nullif(current_setting('iem_gateway.actor', true), ''), session_user);
    END IF;
    RETURN NULL;
END
$$;

-- Writers wait here for each other, before they have changed a row that another one waits for.
CREATE FUNCTION iem_gateway.wait_for_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM iem_gateway.revisions WHERE name = 'directory' FOR UPDATE;
    RETURN NULL;
END
$$;

DO $$
DECLARE
    noted record;
BEGIN
    FOR noted IN
        SELECT * FROM (VALUES
            ('customers', 'customer', 'id'),
            ('quotas', 'customer', 'customer'),
            ('integrations', 'customer', 'customer'),
            ('users', 'user', 'email'),
            ('associations', 'user', 'email')
        ) AS tables (name, kind, key)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER wait_for_turn BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
                 ON iem_gateway.%1$I
                 FOR EACH STATEMENT EXECUTE FUNCTION iem_gateway.wait_for_turn();
             CREATE TRIGGER note_insert AFTER INSERT ON iem_gateway.%1$I
                 REFERENCING NEW TABLE AS after
                 FOR EACH STATEMENT EXECUTE FUNCTION iem_gateway.note(%2$L, %3$L);
             CREATE TRIGGER note_update AFTER UPDATE ON iem_gateway.%1$I
                 REFERENCING OLD TABLE AS before NEW TABLE AS after
                 FOR EACH STATEMENT EXECUTE FUNCTION iem_gateway.note(%2$L, %3$L);
             CREATE TRIGGER note_delete AFTER DELETE ON iem_gateway.%1$I
                 REFERENCING OLD TABLE AS before
                 FOR EACH STATEMENT EXECUTE FUNCTION iem_gateway.note(%2$L, %3$L);
             CREATE TRIGGER note_truncate AFTER TRUNCATE ON iem_gateway.%1$I
                 FOR EACH STATEMENT EXECUTE FUNCTION iem_gateway.note(%2$L, %3$L)',
            noted.name, noted.kind, noted.key
        );
    END LOOP;
END
$$;
