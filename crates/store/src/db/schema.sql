-- What exists in the store. Digests are text, as everywhere: sha256:<hex>. Times are seconds since 1970.

-- Files of store/blobs. What a manifest names may be absent here: dropped, or of another platform.
CREATE TABLE blobs (
    digest  TEXT PRIMARY KEY,
    size    INTEGER NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- Directories layers/<id>.
CREATE TABLE layers (
    diff_id   TEXT PRIMARY KEY,
    id        INTEGER NOT NULL UNIQUE,
    bytes     INTEGER NOT NULL,     -- content of regular files, hard links once
    inodes    INTEGER NOT NULL,
    tar_bytes INTEGER NOT NULL,
    created   INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

-- Blobs that a layer can be had from again: compressed, or as a recipe.
CREATE TABLE layer_forms (
    diff_id    TEXT NOT NULL,
    digest     TEXT NOT NULL,
    kind       TEXT NOT NULL,       -- compressed, recipe
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    PRIMARY KEY (diff_id, digest)
) WITHOUT ROWID, STRICT;
CREATE INDEX layer_forms_of_blob ON layer_forms (digest);

-- An image is its configuration: id is the digest of that blob.
CREATE TABLE images (
    id           TEXT PRIMARY KEY,
    os           TEXT NOT NULL,
    architecture TEXT NOT NULL,
    variant      TEXT NOT NULL,
    created      INTEGER,           -- what the configuration says
    stored       INTEGER NOT NULL,  -- when it came here
    labels       TEXT NOT NULL,     -- JSON object
    parent       TEXT
) WITHOUT ROWID, STRICT;
CREATE INDEX images_of_parent ON images (parent);

CREATE TABLE image_layers (
    image    TEXT NOT NULL,
    position INTEGER NOT NULL,      -- 0 is the lowest
    diff_id  TEXT NOT NULL,
    PRIMARY KEY (image, position)
) WITHOUT ROWID, STRICT;
CREATE INDEX image_layers_of_layer ON image_layers (diff_id);

-- Manifests and indexes whose original bytes are a blob.
CREATE TABLE manifests (
    digest     TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,       -- manifest, index
    media_type TEXT NOT NULL,
    size       INTEGER NOT NULL,
    image      TEXT                 -- of a manifest: which image it is a form of
) WITHOUT ROWID, STRICT;
CREATE INDEX manifests_of_image ON manifests (image);

-- What a manifest (config, layers) or an index (manifests) names, present or not.
CREATE TABLE manifest_parts (
    manifest TEXT NOT NULL,
    position INTEGER NOT NULL,
    digest   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    PRIMARY KEY (manifest, position)
) WITHOUT ROWID, STRICT;
CREATE INDEX manifest_parts_of_blob ON manifest_parts (digest);

CREATE TABLE tags (
    name       TEXT PRIMARY KEY,    -- domain/path:tag
    repository TEXT NOT NULL,
    tag        TEXT NOT NULL,
    digest     TEXT NOT NULL,       -- of a manifest, an index or (a local image) a configuration
    updated    INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX tags_of_target ON tags (digest);

-- name@digest, as pulled or pushed.
CREATE TABLE repo_digests (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID, STRICT;
CREATE INDEX repo_digests_of_target ON repo_digests (digest);

-- Directories snapshots/<id>.
CREATE TABLE snapshots (
    id      INTEGER PRIMARY KEY,
    owner   TEXT NOT NULL,
    created INTEGER NOT NULL,
    bytes   INTEGER,                -- at the last count
    inodes  INTEGER,
    counted INTEGER
) STRICT;

CREATE TABLE snapshot_layers (
    snapshot INTEGER NOT NULL,
    position INTEGER NOT NULL,
    diff_id  TEXT NOT NULL,
    PRIMARY KEY (snapshot, position)
) WITHOUT ROWID, STRICT;
CREATE INDEX snapshot_layers_of_layer ON snapshot_layers (diff_id);

-- Persistent leases. Temporary ones are in the same tables of the temp schema.
CREATE TABLE leases (
    name    TEXT PRIMARY KEY,
    owner   TEXT NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE lease_items (
    lease TEXT NOT NULL,
    kind  TEXT NOT NULL,            -- blob, layer, image
    key   TEXT NOT NULL,
    PRIMARY KEY (lease, kind, key)
) WITHOUT ROWID, STRICT;
CREATE INDEX lease_items_of_key ON lease_items (kind, key);
