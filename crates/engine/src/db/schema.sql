-- What there is. Each record is the JSON of a type of this crate, named behind it.
-- Records of containers change often and are long. In a table with row ids one of them is in one page.
CREATE TABLE containers (
    id     TEXT PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL -- container::Record
) STRICT;
CREATE TABLE volumes (
    name   TEXT PRIMARY KEY,
    record TEXT NOT NULL -- volume::Record
) STRICT, WITHOUT ROWID;
CREATE TABLE networks (
    id     TEXT PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL -- network::Record
) STRICT, WITHOUT ROWID;
