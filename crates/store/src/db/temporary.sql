-- Leases and snapshots that die with the process. In memory, seen by the writing connection alone.
CREATE TEMP TABLE held (
    lease TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    PRIMARY KEY (lease, kind, key)
) WITHOUT ROWID;
CREATE INDEX temp.held_of_key ON held (kind, key);

-- All leases at once.
CREATE TEMP VIEW lease_uses AS
    SELECT items.kind, items.key, leases.owner
    FROM main.lease_items AS items JOIN main.leases ON leases.name = items.lease
    UNION ALL
    SELECT kind, key, owner FROM held;
