DO $bootstrap$
BEGIN
    PERFORM pg_advisory_xact_lock(7303014);

    CREATE TABLE IF NOT EXISTS schema_migrations (
        version    integer PRIMARY KEY,
        name       text NOT NULL,
        checksum   text NOT NULL,               -- SHA-256 of the file, hexadecimal
        applied_at timestamptz NOT NULL
    );

    -- Runs a migration and records it, both or neither; false when another run did it first.
    CREATE OR REPLACE FUNCTION apply_migration(
        migration_version integer, migration_name text, migration_checksum text, script text
    ) RETURNS boolean
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(7303014);
        IF EXISTS (SELECT FROM schema_migrations WHERE version = migration_version) THEN
            RETURN false;
        END IF;
        EXECUTE script;
        INSERT INTO schema_migrations (version, name, checksum, applied_at)
        VALUES (migration_version, migration_name, migration_checksum, now());
        RETURN true;
    END;
    $$;
END
$bootstrap$
