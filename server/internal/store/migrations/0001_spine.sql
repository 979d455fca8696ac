-- +goose Up
-- Each row is a document (JSON, never queried inside) and beside it the columns that a constraint or a search needs.
-- Times are Unix nanoseconds. Addresses are 4 or 16 bytes, so that their order is the order of addresses.
CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

CREATE TABLE token (
  name       TEXT PRIMARY KEY,
  hash       BLOB NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  used_at    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE pool (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE ssh_key (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE subnet (
  name     TEXT PRIMARY KEY,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE image (
  name     TEXT PRIMARY KEY,
  digest   TEXT NOT NULL,
  revision INTEGER NOT NULL,
  doc      TEXT NOT NULL
) STRICT;

CREATE TABLE machine (
  id           TEXT PRIMARY KEY,
  name         TEXT NOT NULL UNIQUE,
  state        TEXT NOT NULL,
  pool         TEXT NOT NULL REFERENCES pool (name),
  uuid         TEXT NOT NULL,
  serial       TEXT NOT NULL,
  revision     INTEGER NOT NULL,
  doc          TEXT NOT NULL,
  inventory    TEXT,
  bmc_password BLOB
) STRICT;
CREATE INDEX machine_pool ON machine (pool, state);
CREATE INDEX machine_state ON machine (state);
CREATE INDEX machine_uuid ON machine (uuid);

CREATE TABLE machine_mac (
  mac        TEXT PRIMARY KEY,
  machine_id TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE
) STRICT;
CREATE INDEX machine_mac_machine ON machine_mac (machine_id);

CREATE TABLE assignment (
  subnet     TEXT NOT NULL REFERENCES subnet (name),
  addr       BLOB NOT NULL,
  machine_id TEXT NOT NULL REFERENCES machine (id) ON DELETE CASCADE,
  mac        TEXT NOT NULL,
  PRIMARY KEY (subnet, addr),
  UNIQUE (subnet, machine_id)
) STRICT;
CREATE INDEX assignment_machine ON assignment (machine_id);

CREATE TABLE lease (
  subnet     TEXT NOT NULL REFERENCES subnet (name) ON DELETE CASCADE,
  addr       BLOB NOT NULL,
  client     TEXT NOT NULL,
  mac        TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  doc        TEXT NOT NULL,
  PRIMARY KEY (subnet, addr)
) STRICT;
CREATE UNIQUE INDEX lease_client ON lease (subnet, client);
CREATE INDEX lease_expiry ON lease (expires_at);

CREATE TABLE allocation (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  machine_id TEXT NOT NULL UNIQUE REFERENCES machine (id),
  revision   INTEGER NOT NULL,
  doc        TEXT NOT NULL
) STRICT;

CREATE TABLE deployment (
  id         TEXT PRIMARY KEY,
  machine_id TEXT NOT NULL UNIQUE REFERENCES machine (id),
  image      TEXT NOT NULL,
  digest     TEXT NOT NULL,
  revision   INTEGER NOT NULL,
  doc        TEXT NOT NULL,
  user_data  BLOB
) STRICT;
CREATE INDEX deployment_image ON deployment (image);

CREATE TABLE operation (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,
  machine_id TEXT,
  image      TEXT,
  status     TEXT NOT NULL,
  key        TEXT NOT NULL,
  job        INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  doc        TEXT NOT NULL,
  work       TEXT NOT NULL
) STRICT;
-- One open operation a machine, and one import an image: two commands at once cannot both begin.
CREATE UNIQUE INDEX operation_open_machine ON operation (machine_id) WHERE status = 'open' AND machine_id IS NOT NULL;
CREATE UNIQUE INDEX operation_open_image ON operation (image) WHERE status = 'open' AND image IS NOT NULL;
CREATE UNIQUE INDEX operation_key ON operation (machine_id, kind, key) WHERE key <> '';
CREATE INDEX operation_machine ON operation (machine_id, started_at);

CREATE TABLE operation_log (
  operation_id TEXT NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
  number       INTEGER NOT NULL,
  at           INTEGER NOT NULL,
  text         TEXT NOT NULL,
  PRIMARY KEY (operation_id, number)
) STRICT;

-- One boot of a machine into the RAM environment. The nonce of its boot token is unique: a token works once. The row
-- outlives a machine that is forgotten: its agent is told so, and does not enlist again.
CREATE TABLE boot_session (
  machine_id TEXT PRIMARY KEY,
  nonce      TEXT NOT NULL UNIQUE,
  boot_id    TEXT NOT NULL,
  hash       BLOB NOT NULL UNIQUE,
  begun_at   INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE event (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  kind    TEXT NOT NULL,
  subject TEXT NOT NULL,
  text    TEXT NOT NULL
) STRICT;

-- +goose Down
SELECT 1;
